"""Payment card numbers: Luhn's check digit and the ranges of the issuers (ISO/IEC 7812)."""

_RANGES: tuple[tuple[int, int, frozenset[int]], ...] = tuple(
    (low * 10 ** (6 - len(str(low))), (high + 1) * 10 ** (6 - len(str(high))) - 1, frozenset(lengths))
    for low, high, lengths in (
        (4, 4, {13, 16, 19}),  # Visa
        (51, 55, {16}),  # Mastercard
        (2221, 2720, {16}),
        (34, 34, {15}),  # American Express
        (37, 37, {15}),
        (300, 305, {14, 16}),  # Diners Club
        (3095, 3095, {14, 16}),
        (36, 36, {14, 16, 19}),
        (38, 39, {14, 16, 19}),
        (35, 35, {16, 17, 18, 19}),  # JCB
        (1800, 1800, {15}),
        (2131, 2131, {15}),
        (6011, 6011, {16, 19}),  # Discover
        (644, 649, {16, 19}),
        (65, 65, {16, 19}),
        (62, 62, {16, 17, 18, 19}),  # UnionPay
        (81, 81, {16, 17, 18, 19}),
        (5018, 5018, {12, 13}),  # Maestro
        (50, 50, {16, 19}),
        (56, 69, {16, 19}),
        (6304, 6304, {12, 13}),
        (639, 639, {12, 13}),
        (6759, 6763, {12, 13}),
        (2200, 2204, {16, 17, 18, 19}),  # Mir
        (9792, 9792, {16}),  # Troy
        (606282, 606282, {16}),  # Hipercard
        (60, 60, {16}),  # RuPay
        (82, 82, {16}),
        (508, 508, {16}),
    )
)
_BY_FIRST = {
    str(first): tuple(one for one in _RANGES if one[0] < (first + 1) * 100_000 and one[1] >= first * 100_000)
    for first in range(1, 10)
}
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def is_luhn_valid(digits: str) -> bool:
    """Tell whether the last digit is the check digit of ISO/IEC 7812-1, annex B."""
    total = sum(map(int, digits[-1::-2])) + sum(_DOUBLED[int(digit)] for digit in digits[-2::-2])
    return total % 10 == 0


def is_card_number(digits: str) -> bool:
    """Tell whether digits are in an issuer's range, of its length, with a valid check digit."""
    prefix, length = int(digits[:6]), len(digits)
    if not any(low <= prefix <= high and length in lengths for low, high, lengths in _BY_FIRST.get(digits[0], ())):
        return False
    return len(set(digits)) > 1 and is_luhn_valid(digits)
