"""Coarser values: a network for an address, a band for an age, a step for a number. What cannot be read gives None."""

import ipaddress
from collections.abc import Callable
from decimal import ROUND_FLOOR, Decimal

import re2

from api.privacy.masking import compile_mask

Coarsen = Callable[[str], str | None]

OLDEST_AGE = 90
_OLDEST_EVER = 150
_LONGEST = 100
_AGE = re2.compile(r"^(\d{1,3})(?:\.\d{1,20})?(?:\s?[^\d]{1,12})?$")
_NUMBER = re2.compile(r"^[^\d+.-]{0,4}([+-]?(?:\d{1,3}(?:,\d{3}){1,9}|\d{1,30})(?:\.\d{1,30})?)[^\d.,]{0,4}$")
_DEGREES = r"([+-]?\d{1,3}(?:\.\d{1,20})?)\s?°?\s?([NSEW]?)"
_COORDINATES = re2.compile(rf"(?i)^(?:geo:)?[\[(]?\s?{_DEGREES}(?:\s?[,;\s]\s?{_DEGREES})?\s?[\])]?$")
_US_POSTAL_CODES = {5: "", 9: "", 10: "- "}  # lengths, and what may stand after the fifth digit
_LOST_ZERO = 4
# Three-digit ZIP areas of at most 20,000 people, by the censuses of 2000 and 2010: 45 CFR 164.514(b)(2)(i)(B).
_SMALL_ZIP_AREAS = (36, 59, 63, 102, 202, 203, 204, 205, 369, 556, 692, 753, 772, 790, 821, 823, 830, 831, 878, 879)
SMALL_ZIP_AREAS = frozenset(f"{area:03d}" for area in (*_SMALL_ZIP_AREAS, 884, 890, 893))


def coarsen_network(text: str) -> str | None:
    """Return the /24 network of an IPv4 address, the /48 of an IPv6 one."""
    if len(text) > _LONGEST:
        return None
    if coarse := _plain_network(text):
        return coarse
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))


def _plain_network(text: str) -> str | None:
    """Return the network of an address in four plain decimal numbers, ten times as fast as `ipaddress` does."""
    numbers = text.split(".")
    if len(numbers) != 4 or not text.isascii():
        return None
    for number in numbers:
        if not number.isdigit() or len(number) > 3 or int(number) > 255 or (number[0] == "0" and number != "0"):
            return None
    return f"{numbers[0]}.{numbers[1]}.{numbers[2]}.0/24"


def compile_band(width: int) -> Coarsen:
    """Return the function that gives the band of so many years an age is in, and 90+ for all from 90 on."""

    def coarsen(text: str) -> str | None:
        match = _AGE.match(text.strip()) if len(text) <= _LONGEST else None
        age = int(match[1]) if match else _OLDEST_EVER
        if age >= _OLDEST_EVER:
            return None
        low = age - age % width
        return f"{OLDEST_AGE}+" if age >= OLDEST_AGE else f"{low}-{low + width - 1}"

    return coarsen


def compile_step(step: float) -> Coarsen:
    """Return the function that rounds a number down to a multiple of the step; currency signs are dropped."""
    exact = Decimal(str(step))

    def coarsen(text: str) -> str | None:
        match = _NUMBER.match(text.strip()) if len(text) <= _LONGEST else None
        if not match:
            return None
        number = Decimal(match[1].replace(",", ""))
        return format((number / exact).to_integral_value(ROUND_FLOOR) * exact, "f")

    return coarsen


def compile_prefix(length: int) -> Coarsen:
    """Return the function that keeps the first characters of a postal code; small areas of the USA become 000.

    Four digits may be a code of the USA that lost its zero as a number: one digit fewer is kept, at most two.
    """
    hide_rest, hide_more, hide = (
        compile_mask("postal_code", shown, 0, "*", least_hidden=1) for shown in (length, min(length - 1, 2), 0)
    )

    def coarsen(text: str) -> str:
        code = text.strip()
        if len(code) == _LOST_ZERO and code.isascii() and code.isdigit():
            return f"0{hide(code[1:])}" if f"0{code[:2]}" in SMALL_ZIP_AREAS else hide_more(code)
        if code[:3] in SMALL_ZIP_AREAS and _is_of_the_usa(code):
            return f"000{hide(code[3:])}"
        return hide_rest(code)

    return coarsen


def _is_of_the_usa(code: str) -> bool:
    separators = _US_POSTAL_CODES.get(len(code))
    if separators is None or not code.isascii():
        return False
    digits = code[:5] + code[6:] if len(code) == 10 and code[5] in separators else code
    return digits.isdigit()


def compile_decimals(decimals: int) -> Coarsen:
    """Return the function that cuts coordinates in decimal degrees to so many decimals (one is about 11 km)."""

    def cut(degrees: str, side: str) -> str:
        whole, _, fraction = degrees.partition(".")
        return (f"{whole}.{fraction[:decimals]}" if fraction and decimals else whole) + side

    def coarsen(text: str) -> str | None:
        match = _COORDINATES.match(text.strip()) if len(text) <= _LONGEST else None
        if not match:
            return None
        first, side, second, other_side = match.groups()
        return cut(first, side or "") + (f",{cut(second, other_side or '')}" if second else "")

    return coarsen
