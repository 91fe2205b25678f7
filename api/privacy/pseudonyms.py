"""Keyed digests of values, spelled the same way first, so that a person has one token however they are written."""

import hmac
import ipaddress
import unicodedata
from collections.abc import Callable

import phonenumbers

from api.privacy.catalogue import CATALOGUE

_HEX = 32
_TOKEN_HEX = 20
_LONGEST_PHONE = 40
_ZERO_WIDTH = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_PREFIXES = {"email_address": "email", "phone_number": "phone", "person_name": "person"}


def compile_hash(pii_type: str, key: bytes) -> Callable[[str], str]:
    """Return the function that gives 32 hex digits of HMAC-SHA256 over type and value."""
    normalize = _normalizer(pii_type)
    domain = f"hash\0{pii_type}\0".encode()

    def hash_(text: str) -> str:
        return _digest(key, domain, normalize(text))[:_HEX]

    return hash_


def compile_pseudonym(pii_type: str, key: bytes) -> Callable[[str], str]:
    """Return the function that gives a token like `person_4f2a9c0d…`, the same for the same value and key."""
    normalize = _normalizer(pii_type)
    domain = f"pseudonym\0{pii_type}\0".encode()
    prefix = _PREFIXES.get(pii_type, pii_type)

    def pseudonymize(text: str) -> str:
        return f"{prefix}_{_digest(key, domain, normalize(text))[:_TOKEN_HEX]}"

    return pseudonymize


def _digest(key: bytes, domain: bytes, text: str) -> str:
    return hmac.digest(key, domain + text.encode("utf-8", "surrogatepass"), "sha256").hex()


def _plain(text: str) -> str:
    """Compatibility forms and invisible characters are not differences."""
    if text.isascii():
        return text.strip()
    return unicodedata.normalize("NFKC", text).translate(_ZERO_WIDTH).strip()


def _words(text: str) -> str:
    return " ".join(_plain(text).casefold().split())


def _compact(text: str) -> str:
    """Letters and digits alone, in capitals: how numbers of cards, accounts and documents are written varies."""
    plain = _plain(text)
    compact = "".join(filter(str.isalnum, plain)).upper()
    return compact or plain


def _phone(text: str) -> str:
    """Return the digits of E.164 where the number says its country, else its own: JSON numbers have lost the plus."""
    plain = _plain(text)
    digits = "".join(filter(str.isdigit, plain))
    if plain.startswith("00"):
        plain = f"+{plain[2:]}"
    if plain.startswith("+") and len(plain) <= _LONGEST_PHONE:
        try:
            number = phonenumbers.parse(plain)
        except phonenumbers.NumberParseException:
            return digits
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")
    return digits or plain


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(_plain(text)))
    except ValueError:
        return _plain(text).casefold()


_OF_TYPE: dict[str, Callable[[str], str]] = {
    "phone_number": _phone,
    "fax_number": _phone,
    "ipv4_address": _address,
    "ipv6_address": _address,
    "mac_address": _compact,
    "bitcoin_address": _plain,
    "litecoin_address": _plain,
    "url": _plain,
}
_OF_CATEGORY: dict[str, Callable[[str], str]] = {
    "account": _compact,
    "credential": _plain,
    "device": _compact,
    "document": _compact,
    "financial": _compact,
    "health": _compact,
    "national_id": _compact,
}


def _normalizer(pii_type: str) -> Callable[[str], str]:
    return _OF_TYPE.get(pii_type) or _OF_CATEGORY.get(CATALOGUE[pii_type].category, _words)
