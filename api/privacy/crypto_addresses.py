"""Addresses of cryptocurrencies and their checksums: base58check, bech32 (BIP 173, 350), EIP-55."""

import hashlib
from collections.abc import Iterator

from api.privacy.keccak import keccak_256
from api.privacy.recognising import Recogniser, Verdict
from api.privacy.scores import Grade

_BASE58 = {char: value for value, char in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_BECH32 = {char: value for value, char in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BASE58_TYPES = {0x00: "bitcoin_address", 0x05: "bitcoin_address", 0x30: "litecoin_address", 0x32: "litecoin_address"}
_BECH32_TYPES = {"bc": "bitcoin_address", "ltc": "litecoin_address"}


def _check_base58(text: str) -> Iterator[Verdict]:
    number = 0
    for char in text:
        number = number * 58 + _BASE58[char]
    if number.bit_length() > 200:
        return
    raw = number.to_bytes(25, "big")
    checksum = hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4]
    if checksum == raw[21:] and raw[0] in _BASE58_TYPES:
        yield _BASE58_TYPES[raw[0]], Grade.VALID


def _check_bech32(text: str) -> Iterator[Verdict]:
    lowered = text.lower()
    prefix, _, data = lowered.rpartition("1")
    values = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    if text not in {lowered, text.upper()} or not set(data) <= _BECH32.keys():
        return
    if _polymod(values + [_BECH32[char] for char in data]) in {1, 0x2BC830A3}:
        yield _BECH32_TYPES[prefix], Grade.VALID


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum


def _check_ethereum(text: str) -> Iterator[Verdict]:
    """Yield an address: in mixed case proven by its capitals (EIP-55), in one case by its form alone."""
    letters = text[2:]
    if letters in {letters.lower(), letters.upper()}:
        yield "ethereum_address", Grade.TELLING
        return
    digest = keccak_256(letters.lower().encode("ascii")).hex()
    is_valid = all(
        not char.isalpha() or char.isupper() == (int(digit, 16) >= 8)
        for char, digit in zip(letters, digest, strict=False)
    )
    yield "ethereum_address", Grade.VALID if is_valid else Grade.FORM


CRYPTO = (
    Recogniser(rb"\b[13LM][1-9A-HJ-NP-Za-km-z]{25,34}\b", _check_base58, 2),
    Recogniser(rb"(?i)\b(?:bc|ltc)1[a-z0-9]{11,87}\b", _check_bech32, 5),
    Recogniser(rb"\b0[xX][0-9a-fA-F]{40}\b", _check_ethereum, 80),
)
