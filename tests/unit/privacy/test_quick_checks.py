"""Held against python-stdnum: what it takes for a number must pass, and most of what it does not must not."""

import random

import pytest

from api.privacy.catalogue import CATALOGUE
from api.privacy.national_numbers import BY_GROUPS, BY_LENGTH, Number, is_resident_id
from api.privacy.quick_checks import _CONDITIONS, can_be, values_of
from api.privacy.scanning import Scanner

BASES = 100
_ENDS = [f"{end:02}" for end in range(100)]
NUMBERS: dict[tuple[str, int], Number] = {
    (number.pii_type, sum(groups)): number
    for groups, numbers in [*BY_GROUPS.items(), *(((length,), found) for length, found in BY_LENGTH.items())]
    for number in numbers
    if number.pii_type in _CONDITIONS
}
UNCHECKED = {("cn_resident_id", 18)}  # hardly any random number is one


def _candidates(seed: int, length: int) -> list[str]:
    """Return numbers of all endings, half of them with a date of birth somewhere near their beginning."""
    numbers = random.Random(seed)
    bases = []
    for base in range(BASES):
        digits = f"{numbers.randrange(10**length):0{length}}"
        if base % 2:
            year, month, day = (
                f"{numbers.randrange(100):02}",
                f"{numbers.randint(1, 12):02}",
                f"{numbers.randint(1, 28):02}",
            )
            born = day + month + year if base % 3 else year + month + day
            place = numbers.randrange(min(5, length - 6) + 1) if base % 4 == 3 else 0
            digits = digits[:place] + born + digits[place + 6 :]
        bases.append(digits if base % 5 else f"756{digits[3:]}")
    return [digits[:-2] + end for digits in bases for end in _ENDS]


@pytest.mark.parametrize(("pii_type", "length"), sorted(NUMBERS.keys() - UNCHECKED))
def test_no_valid_number_is_turned_away(pii_type: str, length: int) -> None:
    number = NUMBERS[pii_type, length]
    candidates = _candidates(length, length)
    passing = [digits for digits in candidates if can_be(pii_type, digits, values_of(digits))]
    turned_away = sorted(set(candidates) - set(passing))
    assert any(map(number.is_valid, passing))
    assert not [digits for digits in turned_away if number.is_valid(digits)]


def test_most_numbers_are_turned_away() -> None:
    shares = {}
    for pii_type, length in NUMBERS:
        candidates = _candidates(length, length)
        shares[pii_type] = sum(can_be(pii_type, digits, values_of(digits)) for digits in candidates) / len(candidates)
    assert sum(shares.values()) / len(shares) < 0.25


@pytest.mark.parametrize("digits", ["513958198003127764", "42804619800312991X"])
def test_a_chinese_number_of_an_unlisted_county_is_told_by_its_check_digit(digits: str) -> None:
    """python-stdnum raises KeyError for those."""
    assert is_resident_id(digits)
    assert not is_resident_id(f"{digits[:-2]}{(int(digits[-2]) + 1) % 10}{digits[-1]}")


def test_digits_alone_are_looked_at_as_they_are_in_a_text() -> None:
    scanner = Scanner(CATALOGUE.keys())
    found = 0
    for length in range(7, 21):
        for digits in _candidates(length, length)[::7]:
            if not digits.startswith("00"):
                candidates = sorted(map(str, scanner.scan_digits(digits)))
                assert candidates == sorted(map(str, scanner.scan(digits.encode())))
                found += len(candidates)
    assert found > 100
