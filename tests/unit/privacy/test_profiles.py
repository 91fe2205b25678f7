import tomllib
from importlib.resources import files

import pytest

from api.privacy.catalogue import CATALOGUE
from api.privacy.rule_set import PROFILES, profile_rules

WRITTEN = [profile for profile in PROFILES if profile != "custom"]
CODES = ("hash", "pseudonymize")
# The 18 identifiers of Safe Harbor by their letters, each by some of the types that are one.
SAFE_HARBOR = {
    "A": ["person_name", "first_name", "last_name"],
    "B": ["street_address", "city", "county", "postal_code", "coordinates"],
    "C": ["date_of_birth", "health_date", "age"],
    "D": ["phone_number"],
    "E": ["fax_number"],
    "F": ["email_address"],
    "G": ["us_ssn"],
    "H": ["medical_record_number"],
    "I": ["health_plan_number"],
    "J": ["bank_account_number", "credit_card_number"],
    "K": ["certificate_number", "driver_license_number"],
    "L": ["vehicle_identification_number", "license_plate"],
    "M": ["device_id", "device_serial_number"],
    "N": ["url"],
    "O": ["ipv4_address", "ipv6_address"],
    "P": ["biometric_id", "fingerprint", "voice_print"],
    "Q": ["photo"],
    "R": ["employee_id", "user_name"],
}


def _written(profile: str) -> dict[str, dict[str, str]]:
    text = (files("api.privacy") / "data" / "profiles" / f"{profile}.toml").read_text(encoding="utf-8")
    rules: dict[str, dict[str, str]] = tomllib.loads(text)["rules"]
    return rules


@pytest.mark.parametrize("profile", WRITTEN)
def test_every_rule_is_valid_and_says_why(profile: str) -> None:
    assert profile_rules(profile).keys() <= CATALOGUE.keys()
    for rule in _written(profile).values():
        assert rule["why"]
        assert rule.keys() <= {"action", "config", "why"}


@pytest.mark.parametrize("letter", SAFE_HARBOR)
def test_hipaa_covers_the_eighteen_identifiers(letter: str) -> None:
    written = _written("hipaa")
    for pii_type in SAFE_HARBOR[letter]:
        assert written[pii_type]["why"].startswith(f"({letter})")


def test_hipaa_derives_no_code_from_a_person() -> None:
    assert not [name for name, rule in profile_rules("hipaa").items() if rule.action in CODES]


def test_pci_dss_masks_the_number_and_keeps_no_security_code() -> None:
    rules = profile_rules("pci_dss")
    assert rules["credit_card_number"].action == "mask"
    assert rules["credit_card_number"].config == {"show_first": 6, "show_last": 4, "char": "*"}
    assert {rules[name].action for name in ("card_security_code", "card_pin", "card_track_data")} == {"drop"}


@pytest.mark.parametrize("profile", ["hipaa", "gdpr", "ccpa"])
def test_national_numbers_of_all_countries_are_covered(profile: str) -> None:
    national = {name for name, kind in CATALOGUE.items() if kind.category == "national_id"}
    assert national <= profile_rules(profile).keys()


@pytest.mark.parametrize("profile", WRITTEN)
def test_security_codes_and_passwords_are_kept_by_none(profile: str) -> None:
    rules = profile_rules(profile)
    assert {rules[name].action for name in ("card_security_code", "card_pin", "card_track_data", "password")} == {
        "drop"
    }


def test_gdpr_and_ccpa_keep_nothing_of_special_categories() -> None:
    special = [name for name, kind in CATALOGUE.items() if kind.category == "special"]
    gdpr = profile_rules("gdpr")
    assert {gdpr[name].action for name in special} <= {"redact", "drop"}
    ccpa = profile_rules("ccpa")
    assert {ccpa[name].action for name in special if name in ccpa} <= {"redact", "drop"}
