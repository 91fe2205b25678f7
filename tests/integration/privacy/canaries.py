"""A canary for every type of personal data: a value that its detector takes, and that stands nowhere but here."""

import base64
import json
import re
from dataclasses import dataclass

from stdnum import iban, luhn

from api.privacy.catalogue import CATALOGUE

SHORTEST = 8  # anything shorter may stand somewhere by chance


def _with_check_digit(digits: str) -> str:
    return digits + str(luhn.calc_check_digit(digits))


def _iban(country: str, account: str) -> str:
    return country + str(iban.calc_check_digits(f"{country}00{account}")) + account


def _part(text: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(text).encode()).decode().rstrip("=")


_CARD = _with_check_digit("453957876362148")
_HEADER = _part({"alg": "HS256", "typ": "JWT"})
_VALUES: dict[str, str] = {
    "date_of_birth": "1957-03-14",
    "age": "47",
    "income": "54217",
    "credit_score": "713",
    "email_address": "kanarie.zwetschge@example.org",
    "phone_number": "+44 20 7946 0813",
    "fax_number": "+49 30 901827743",
    "postal_code": "90217-3391",
    "coordinates": "47.376912, 8.541677",
    "latitude": "47.376934",
    "longitude": "8.541692",
    "social_media_handle": "@kanarie_zwetschge",
    "ipv4_address": "203.0.113.201",
    "ipv6_address": "2001:db8:85a3:77::c4a1:9e3",
    "mac_address": "00:1B:44:5C:E9:7F",
    "url": "https://kanarie.example.com/zwetschge?tab=photos",
    "url_with_credentials": "postgresql://kanarie:zwetschge7@db.example.com/prod",
    "user_agent": "Mozilla/5.0 (X11; Kanarie x86_64; rv:128.0) Gecko/20100101 Firefox/128.7",
    "cookie_id": "GA1.2.1099501277.1700898211",
    "advertising_id": "7E93178B-9357-4CB5-BF6C-87215972F8ED",
    "device_id": "e18b24a95f7e227b",
    "imei": _with_check_digit("49015420888812"),
    "imsi": "429017776543210",
    "iccid": _with_check_digit("894450101234599882"),
    "license_plate": "B-KX 7461",
    "credit_card_number": _CARD,
    "card_expiry": "09/27",
    "card_track_data": f"%B{_with_check_digit('453957876362188')}^KANARIE/ZWETSCHGE^27092010000000000000?",
    "iban": _iban("DE", "370400440777013777"),
    "pt_nif": "295 773 413",
    "bank_account_number": "9047731526",
    "api_key": "AKIAKANARIEZWETSCHGE",
    "access_token": "Bearer kAnArIe_9.Zw5f-4.1JqM_a7x2Kq0",
    "json_web_token": f"{_HEADER}.{_part({'name': 'Kanarie'})}.kAnArIeRJSMeKKF2QT4fwpMeJf36",
    "private_key": "-----BEGIN PRIVATE KEY-----\nKANARIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----",
}


@dataclass(frozen=True)
class Canary:
    """A value of one type. `is_own`: it stands nowhere else, not even in another test."""

    pii_type: str
    value: str
    is_own: bool

    @property
    def is_recognised(self) -> bool:
        """Say whether the catalogue promises that the value is told by itself."""
        return CATALOGUE[self.pii_type].detector == "value"

    @property
    def number(self) -> int | None:
        """The value as a number, where it is one."""
        digits = self.value.replace(" ", "")
        return int(digits) if digits.isdecimal() and not digits.startswith("0") else None

    @property
    def is_numeric(self) -> bool:
        """Say whether the text is read as a number where a model wants one."""
        try:
            float(self.value)
        except ValueError:
            return False
        return True

    @property
    def traces(self) -> list[str]:
        """What must be found nowhere: the value, in the form JSON has it, and its digits alone."""
        digits = re.sub(r"\D", "", self.value)
        found = {self.value, json.dumps(self.value, ensure_ascii=False)[1:-1]}
        if len(digits) >= SHORTEST + 1 and not re.search("[a-zA-Z]", self.value):
            found.add(digits)
        return [trace for trace in found if len(trace) >= SHORTEST]


def canaries() -> list[Canary]:
    """Return one canary a type of the catalogue, and some that hide in other characters."""
    hidden = [
        Canary(name, hide(_VALUES[name]), is_own=True)
        for name in ("email_address", "credit_card_number")
        for hide in (_widened, _with_unseen)
    ]
    return [_canary(name) for name in CATALOGUE] + hidden


def _widened(text: str) -> str:
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


def _with_unseen(text: str) -> str:
    return "\N{ZERO WIDTH SPACE}".join(text)


def _canary(name: str) -> Canary:
    if name in _VALUES:
        return Canary(name, _VALUES[name], is_own=True)
    if CATALOGUE[name].detector == "column":
        return Canary(name, f"Kanarie {name} Zwetschge", is_own=True)
    return Canary(name, CATALOGUE[name].example, is_own=False)
