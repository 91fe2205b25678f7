"""The forms that values of a type usually have: with a telling column name they tell the type."""

from api.privacy.recognising import compile_pattern

_DATE = (
    rb"[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}(?:[T ][0-9:.,Z+-]{0,20})?|[0-9]{1,2}[-/. ][0-9]{1,2}[-/. ][0-9]{2,4}|"
    rb"[12][0-9]{3}[01][0-9][0-3][0-9]|(?:19|20)[0-9]{2}|-?[0-9]{9,13}|"
    rb"[0-9]{1,2}(?:st|nd|rd|th|\.)?(?: (?:de|of))?[ -][A-Za-z\xff.]{3,12}(?: de)?[, -]{1,2}[0-9]{2,4}|"
    rb"[A-Za-z\xff.]{3,12} [0-9]{1,2}(?:st|nd|rd|th)?,? [0-9]{4}"
)
_PHONE = rb"[+(]{0,2}[0-9][0-9 ()./-]{4,24}(?: ?(?:x|ext|ext\.) ?[0-9]{1,6})?"
_NAME = rb"[A-Za-z\xff][A-Za-z\xff .,'\x80-]{0,79}"
_DEGREES = rb"[+-]?[0-9]{1,3}(?:\.[0-9]{1,20})?"
_NATIONAL = rb"[A-Za-z0-9][A-Za-z0-9 ./-]{5,22}"
_PATTERNS = {
    "person_name": _NAME,
    "first_name": _NAME,
    "last_name": _NAME,
    "maiden_name": _NAME,
    "date_of_birth": _DATE,
    "health_date": _DATE,
    "age": rb"[0-9]{1,3}(?:\.[0-9]{1,6})?",
    "email_address": rb"[^@\s]+@[^@\s]+",
    "phone_number": _PHONE,
    "fax_number": _PHONE,
    "postal_code": rb"[A-Za-z]{0,2}[ -]?[0-9][A-Za-z0-9 -]{2,9}|[A-Za-z][A-Za-z0-9]{1,3} ?[0-9][A-Za-z]{2}",
    "latitude": _DEGREES,
    "longitude": _DEGREES,
    "social_media_handle": rb"@?[A-Za-z0-9_.\xff-]{2,40}",
    "cookie_id": rb"[A-Za-z0-9._%-]{8,}",
    "advertising_id": rb"[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}",
    "device_id": rb"[A-Za-z0-9:._-]{6,80}",
    "imsi": rb"[0-9]{14,15}",
    "imei": rb"[0-9][0-9 -]{13,18}",
    "iccid": rb"89[0-9 ]{17,24}",
    "vehicle_identification_number": rb"[A-Za-z0-9]{11,17}",
    "license_plate": rb"[A-Za-z0-9\xff][A-Za-z0-9\xff\x80 .-]{2,11}",
    "credit_card_number": rb"[0-9][0-9 -]{11,22}",
    "card_security_code": rb"[0-9]{3,4}",
    "card_expiry": rb"[0-9]{1,2} ?[/-]? ?[0-9]{2,4}|[0-9]{4}[/-][0-9]{2}(?:-[0-9]{2})?",
    "card_pin": rb"[0-9]{4,12}",
    "iban": rb"[A-Za-z]{2}[0-9]{2}[A-Za-z0-9 ]{10,40}",
    "bic": rb"[A-Za-z]{6}[A-Za-z0-9]{2}(?:[A-Za-z0-9]{3})?",
    "bank_account_number": rb"[A-Za-z0-9][A-Za-z0-9 ./-]{3,33}",
    "us_routing_number": rb"[0-9]{9}",
    "gb_sort_code": rb"[0-9]{2}[- ]?[0-9]{2}[- ]?[0-9]{2}",
    "passport_number": rb"[A-Za-z0-9<]{6,10}",
    "driver_license_number": rb"[A-Za-z0-9*][A-Za-z0-9 *-]{4,24}",
    "identity_card_number": rb"[A-Za-z0-9][A-Za-z0-9 ./-]{4,19}",
    "us_npi": rb"[12][0-9]{9}",
    "us_medicare_number": rb"[1-9A-Za-z][A-Za-z0-9-]{9,13}",
    "us_dea_number": rb"[A-Za-z][A-Za-z9][0-9]{7}",
}
_COMPILED = {pii_type: compile_pattern(pattern) for pii_type, pattern in _PATTERNS.items()}
_ANY_NATIONAL = compile_pattern(_NATIONAL)


def has_form(pii_type: str, category: str, data: bytes) -> bool:
    """Tell whether a whole value, in normal form, has a form usual for the type."""
    pattern = _COMPILED.get(pii_type) or (_ANY_NATIONAL if category == "national_id" else None)
    return pattern is not None and pattern.fullmatch(data.strip()) is not None
