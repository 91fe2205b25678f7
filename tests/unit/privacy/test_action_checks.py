from typing import Any

import pytest

from api.privacy.actions import ACTIONS, RuleRefused, check_rule
from api.privacy.catalogue import CATALOGUE


def _refusal(pii_type: str, action: str, config: dict[str, Any], profile: str | None = None) -> str:
    with pytest.raises(RuleRefused) as refused:
        check_rule(pii_type, action, config, profile=profile)
    return refused.value.field


def test_defaults_are_filled_in() -> None:
    assert check_rule("email_address", "mask", {}) == {"show_first": 0, "show_last": 0, "char": "*"}
    assert check_rule("iban", "mask", {"show_last": 4, "char": "#"}) == {"show_first": 0, "show_last": 4, "char": "#"}
    assert check_rule("age", "generalize", {"to": "age_band"}) == {"to": "age_band", "width": 10}
    assert check_rule("postal_code", "generalize", {"to": "postal_prefix"}) == {"to": "postal_prefix", "length": 3}
    assert check_rule("latitude", "generalize", {"to": "coordinates"}) == {"to": "coordinates", "decimals": 1}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_checked_configuration_passes_again_unchanged(action: str) -> None:
    config = {"replace": {"value": "-"}, "generalize": {"to": "network"}}.get(action, {})
    checked = check_rule("ipv4_address", action, config)
    assert check_rule("ipv4_address", action, checked) == checked


@pytest.mark.parametrize(
    ("action", "config", "field"),
    [
        ("shred", {}, "action"),
        ("redact", {"char": "*"}, "config.char"),
        ("hash", {"length": 8}, "config.length"),
        ("mask", {"show_first": -1}, "config.show_first"),
        ("mask", {"show_first": 21}, "config.show_first"),
        ("mask", {"show_last": True}, "config.show_last"),
        ("mask", {"show_last": 1.0}, "config.show_last"),
        ("mask", {"show_last": "4"}, "config.show_last"),
        ("mask", {"char": ""}, "config.char"),
        ("mask", {"char": "**"}, "config.char"),
        ("mask", {"char": " "}, "config.char"),
        ("mask", {"char": "7"}, "config.char"),
        ("mask", {"char": "\ud800"}, "config.char"),
        ("mask", {"char": 7}, "config.char"),
        ("replace", {}, "config.value"),
        ("replace", {"value": 7}, "config.value"),
        ("replace", {"value": "a\0b"}, "config.value"),
        ("replace", {"value": "\udfff"}, "config.value"),
        ("replace", {"value": "x" * 201}, "config.value"),
        ("generalize", {}, "config.to"),
        ("generalize", {"to": "decade"}, "config.to"),
        ("generalize", {"to": ["year"]}, "config.to"),
    ],
)
def test_a_wrong_configuration_is_refused_by_field(action: str, config: dict[str, Any], field: str) -> None:
    assert _refusal("email_address", action, config) == field


def test_a_value_is_generalized_only_to_what_it_has() -> None:
    assert _refusal("email_address", "generalize", {"to": "year"}) == "config.to"
    assert _refusal("age", "generalize", {"to": "age_band", "width": 7}) == "config.width"
    assert _refusal("income", "generalize", {"to": "step"}) == "config.step"
    for step in (0, -5, float("nan"), float("inf"), True, "10"):
        assert _refusal("income", "generalize", {"to": "step", "step": step}) == "config.step"
    assert _refusal("postal_code", "generalize", {"to": "postal_prefix", "length": 6}) == "config.length"


def test_an_unknown_type_is_refused() -> None:
    assert _refusal("shoe_size", "redact", {}) == "pii_type"


def test_pci_dss_limits_what_a_card_number_shows() -> None:
    allowed = {"show_first": 6, "show_last": 4}
    assert check_rule("credit_card_number", "mask", allowed, profile="pci_dss")["show_first"] == 6
    assert _refusal("credit_card_number", "mask", {"show_first": 7}, "pci_dss") == "config.show_first"
    assert _refusal("credit_card_number", "mask", {"show_last": 5}, "pci_dss") == "config.show_last"
    assert check_rule("credit_card_number", "mask", {"show_last": 5}, profile="gdpr")["show_last"] == 5


@pytest.mark.parametrize("pii_type", ["card_security_code", "card_pin", "card_track_data"])
def test_pci_dss_keeps_nothing_of_security_codes(pii_type: str) -> None:
    for action in ("mask", "hash", "pseudonymize"):
        assert _refusal(pii_type, action, {}, "pci_dss") == "action"
    assert check_rule(pii_type, "redact", {}, profile="pci_dss") == {}


def test_every_default_of_the_catalogue_is_a_rule() -> None:
    for pii_type in CATALOGUE.values():
        check_rule(pii_type.name, pii_type.action, pii_type.config)
