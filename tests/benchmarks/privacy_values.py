"""Values of personal data to be found: Faker's of many locales, and random numbers that pass the official check."""

import random
from collections.abc import Callable

from faker import Faker

from api.privacy.national_numbers import BY_LENGTH

SEED = 7
# Type: locale and Faker's method.
_FAKED: dict[str, tuple[tuple[str, ...], str]] = {
    "ca_sin": (("en_CA",), "ssn"),
    "us_ssn": (("en_US",), "ssn"),
    "us_itin": (("en_US",), "itin"),
    "mx_curp": (("es_MX",), "curp"),
    "br_cpf": (("pt_BR",), "cpf"),
    "cl_rut": (("es_CL",), "person_rut"),
    "fr_nir": (("fr_FR",), "ssn"),
    "es_dni": (("es_ES",), "nif"),
    "es_nie": (("es_ES",), "nie"),
    "it_codice_fiscale": (("it_IT",), "ssn"),
    "nl_bsn": (("nl_NL",), "ssn"),
    "be_nn": (("nl_BE",), "ssn"),
    "ch_ahv": (("de_CH",), "ssn"),
    "pl_pesel": (("pl_PL",), "pesel"),
    "hr_oib": (("hr_HR",), "ssn"),
    "ro_cnp": (("ro_RO",), "ssn"),
    "gr_amka": (("el_GR",), "ssn"),
    "se_personnummer": (("sv_SE",), "ssn"),
    "no_fodselsnummer": (("no_NO",), "ssn"),
    "fi_hetu": (("fi_FI",), "ssn"),
    "ee_isikukood": (("et_EE",), "ssn"),
    "tr_kimlik": (("tr_TR",), "ssn"),
    "ua_rntrc": (("uk_UA",), "ssn"),
    "il_identity_number": (("he_IL",), "ssn"),
    "in_pan": (("en_IN",), "pan"),
    "cn_resident_id": (("zh_CN",), "ssn"),
    "vehicle_identification_number": (("en_US",), "vin"),
    "iban": (("en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "pt_PT", "fi_FI", "no_NO"), "iban"),
    "credit_card_number": (("en_US", "de_DE", "ru_RU"), "credit_card_number"),
    "email_address": (("en_US", "de_DE", "fr_FR", "es_ES", "pt_BR", "sv_SE", "cs_CZ", "it_IT", "tr_TR"), "email"),
    "ipv4_address": (("en_US",), "ipv4_public"),
    "ipv6_address": (("en_US",), "ipv6"),
    "mac_address": (("en_US",), "mac_address"),
    "url": (("en_US", "de_DE"), "url"),
    "user_agent": (("en_US",), "user_agent"),
    "phone_number": (
        ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pt_BR", "pl_PL", "sv_SE", "ja_JP"),
        "phone_number",
    ),
    "person_name": (("en_US", "de_DE", "fr_FR", "es_ES", "it_IT", "pl_PL", "ja_JP", "ru_RU", "el_GR", "zh_CN"), "name"),
    "street_address": (("en_US", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL"), "street_address"),
    "city": (("en_US", "de_DE", "fr_FR", "es_ES", "it_IT"), "city"),
    "postal_code": (("en_US", "en_GB", "de_DE", "fr_FR", "nl_NL", "pl_PL", "pt_BR", "en_CA"), "postcode"),
    "license_plate": (("en_US", "en_GB", "de_DE", "es_ES", "it_IT"), "license_plate"),
    "passport_number": (("en_US",), "passport_number"),
    "bic": (("en_GB", "de_DE"), "swift"),
    "user_name": (("en_US",), "user_name"),
}
# Numbers Faker has no valid ones of: their lengths.
_RANDOM = {
    "ar_cuit": 11,
    "at_svnr": 10,
    "au_medicare": 10,
    "au_tfn": 9,
    "bg_egn": 10,
    "co_nit": 10,
    "cz_birth_number": 10,
    "de_tax_id": 11,
    "dk_cpr": 10,
    "ec_ci": 10,
    "gb_nhs_number": 10,
    "gb_utr": 10,
    "iccid": 19,
    "imei": 15,
    "in_aadhaar": 12,
    "is_kennitala": 10,
    "kr_rrn": 13,
    "jp_my_number": 12,
    "pt_nif": 9,
    "si_emso": 13,
    "th_pin": 13,
    "za_identity_number": 13,
}
_BEGINNINGS = {"iccid": "8944", "imei": "35"}
WEAK = (
    "ca_sin", "nl_bsn", "au_tfn", "pt_nif", "il_identity_number", "gb_nhs_number", "gb_utr", "ua_rntrc", "co_nit",
    "au_medicare", "hr_oib", "in_aadhaar", "jp_my_number", "th_pin",
    "ec_ci",
)  # fmt: skip
CHECKED = (
    "credit_card_number", "iban", "vehicle_identification_number", "imei", "iccid", "mx_curp", "br_cpf", "cl_rut",
    "fr_nir", "es_dni", "es_nie", "it_codice_fiscale", "be_nn", "ch_ahv", "pl_pesel", "ro_cnp", "gr_amka",
    "se_personnummer", "no_fodselsnummer", "fi_hetu", "ee_isikukood", "tr_kimlik", "cn_resident_id", "kr_rrn",
    "ar_cuit", "at_svnr", "bg_egn", "cz_birth_number", "de_tax_id", "is_kennitala", "si_emso",
    "za_identity_number",
)  # fmt: skip


def make_values(count: int) -> dict[str, list[str]]:
    """Return so many values of every type that values can be made of; the same ones at each call."""
    Faker.seed(SEED)
    numbers = random.Random(SEED)
    values = {name: _fake(locales, method, count) for name, (locales, method) in _FAKED.items()}
    return values | {name: _draw(name, length, count, numbers) for name, length in _RANDOM.items()}


def _fake(locales: tuple[str, ...], method: str, count: int) -> list[str]:
    makers: list[Callable[[], object]] = [getattr(Faker(locale), method) for locale in locales]
    return [str(makers[number % len(makers)]()) for number in range(count)]


def _draw(name: str, length: int, count: int, numbers: random.Random) -> list[str]:
    """Return random numbers that pass the type's check, half of them with a date near their beginning."""
    is_valid = next(number.is_valid for number in BY_LENGTH[length] if number.pii_type == name)
    drawn: list[str] = []
    while len(drawn) < count:
        year, month, day = numbers.randrange(100), numbers.randint(1, 12), numbers.randint(1, 28)
        dates = (f"{year:02}{month:02}{day:02}", f"{day:02}{month:02}{year:02}", f"{day:02}{month:02}9{year:02}")
        place = 4 if name == "at_svnr" else 0
        rest = f"{numbers.randrange(10**length):0{length}}"
        date = "" if numbers.random() < 0.2 else numbers.choice(dates)
        beginning = _BEGINNINGS.get(name, "")
        digits = beginning + rest[len(beginning) :] if beginning else rest[:place] + date + rest[place + len(date) :]
        if is_valid(digits):
            drawn.append(digits)
    return drawn
