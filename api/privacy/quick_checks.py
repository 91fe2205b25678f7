"""Necessary conditions of numbers of digits, told in a fraction of the time that python-stdnum takes to check them.

Most numbers in data are none of the kinds they could be by their length: one weighted sum says so of most of them.
What passes here is not proved; `python-stdnum` decides. Weights are those of its modules.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import mul

# Takes the number's digits as text and as their values.
Condition = Callable[[str, bytes], bool]
_DOUBLED = bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)) + bytes(246)
_TO_VALUES = bytes.maketrans(b"0123456789", bytes(range(10)))


def can_be(pii_type: str, digits: str, values: bytes) -> bool:
    """Tell whether plain digits, of a length that the type has, may be a number of it; `values` as `values_of` says."""
    condition = _CONDITIONS.get(pii_type)
    return condition is None or condition(digits, values)


def values_of(digits: str) -> bytes:
    """Return the digits as numbers 0 to 9."""
    return digits.encode("ascii").translate(_TO_VALUES)


def _weigh(weights: Iterable[int], values: bytes) -> int:
    weighed: int = sum(map(mul, weights, values))
    return weighed


def _divisible(modulus: int, *weights: int) -> Condition:
    return lambda _, values: _weigh(weights, values) % modulus == 0


def _last_is_remainder(modulus: int, *weights: int) -> Condition:
    """The last digit is the weighted sum's remainder, 10 counting as 0."""
    return lambda _, values: _weigh(weights, values) % modulus % 10 == values[-1]


def _last_completes(modulus: int, *weights: int, also: int) -> Condition:
    """The last digit completes the weighted sum to a multiple; the remainder `also` follows another rule."""

    def holds(_: str, values: bytes) -> bool:
        remainder = _weigh(weights, values) % modulus
        return remainder == also or (remainder + values[-1]) % modulus == 0

    return holds


def _month_at(position: int, cycle: int = 100) -> Condition:
    """Two digits are a month; where the number adds to it for sex or century, what is left by `cycle`."""
    return lambda digits, _: 1 <= int(digits[position : position + 2]) % cycle <= 12


def _begins(*beginnings: str) -> Condition:
    return lambda digits, _: digits.startswith(beginnings)


def _both(one: Condition, other: Condition) -> Condition:
    return lambda digits, values: one(digits, values) and other(digits, values)


def _luhn(_: str, values: bytes) -> bool:
    return (sum(values[::-2]) + sum(values[-2::-2].translate(_DOUBLED))) % 10 == 0


def _swedish(digits: str, values: bytes) -> bool:
    """Ten digits, or twelve with the century, which is not checked; coordination numbers add 60 to the day."""
    return "01" <= digits[-8:-6] <= "12" and _luhn(digits, values[-10:])


def _czech(digits: str, values: bytes) -> bool:
    """Women's months are 50 higher, and since 2004 months may be 20 higher."""
    return 1 <= int(digits[2:4]) % 50 % 20 <= 12 and (len(digits) == 9 or int(digits[:9]) % 11 % 10 == values[9])


def _mod_11_10(_: str, values: bytes) -> bool:
    """ISO 7064, modulus 11,10."""
    check = 5
    for value in values:
        check = ((check or 10) * 2 % 11 + value) % 10
    return check == 1


def _new_zealand(digits: str, values: bytes) -> bool:
    padded = bytes(9 - len(values)) + values
    return (len(digits) == 8 or digits < "15") and _NEW_ZEALAND(digits, padded)


def _baltic(_: str, values: bytes) -> bool:
    remainder = _weigh((1, 2, 3, 4, 5, 6, 7, 8, 9, 1), values) % 11
    return remainder in {values[10], 10}


def _thai(_: str, values: bytes) -> bool:
    return (1 - _weigh((2, 1, 0, -1, -2, -3, -4, -5, -6, -7, -8, -9), values) % 11) % 10 == values[12]


def _turkish(_: str, values: bytes) -> bool:
    return sum(values[:10]) % 10 == values[10]


def _british_utr(_: str, values: bytes) -> bool:
    return b"\2\1\x09\x08\7\6\5\4\3\2\1"[_weigh((6, 7, 8, 9, 10, 5, 4, 3, 2), values[1:]) % 11] == values[0]


def _colombian(_: str, values: bytes) -> bool:
    remainder = _weigh((41, 37, 29, 23, 19, 17, 13, 7, 3), values) % 11
    return values[9] == (remainder if remainder < 2 else 11 - remainder)


def _ecuadorian(digits: str, values: bytes) -> bool:
    return digits[2] <= "6" and digits[0] in "01235" and _luhn(digits, values)


def _german(digits: str, values: bytes) -> bool:
    return len(set(digits[:10])) in {8, 9} and _mod_11_10(digits, values)


def _brazilian(_: str, values: bytes) -> bool:
    return -_weigh((10, 9, 8, 7, 6, 5, 4, 3, 2), values) % 11 % 10 == values[9]


def _belgian(digits: str, _: bytes) -> bool:
    number, check = int(digits[:9]), int(digits[9:])
    return check in {97 - number % 97, 97 - (2_000_000_000 + number) % 97}


_NEW_ZEALAND = _last_completes(11, 3, 2, 7, 6, 5, 4, 3, 2, also=1)
_CONDITIONS: Mapping[str, Condition] = {
    "nz_ird": _new_zealand,
    "au_tfn": _divisible(11, 1, 4, 3, 7, 5, 8, 6, 9, 10),
    "ca_sin": _luhn,
    "nl_bsn": _divisible(11, 9, 8, 7, 6, 5, 4, 3, 2, -1),
    "il_identity_number": _luhn,
    "us_itin": _begins("9"),
    "at_svnr": _divisible(11, 3, 7, 9, -1, 5, 8, 4, 2, 1, 6),
    "cz_birth_number": _czech,
    "se_personnummer": _swedish,
    "bg_egn": _both(_month_at(2, 20), _last_is_remainder(11, 2, 4, 8, 5, 10, 9, 7, 3, 6)),
    "is_kennitala": _both(_month_at(2), _divisible(11, 3, 2, 7, 6, 5, 4, 3, 2, 1)),
    "ec_ci": _ecuadorian,
    "gb_nhs_number": _divisible(11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1),
    "gb_utr": _british_utr,
    "ua_rntrc": _last_is_remainder(11, -1, 5, 7, 9, 4, 6, 10, 5, 7),
    "dk_cpr": _month_at(2),
    "br_cpf": _brazilian,
    "pl_pesel": _divisible(10, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1),
    "gr_amka": _luhn,
    "hr_oib": _mod_11_10,
    "de_tax_id": _german,
    "be_nn": _belgian,
    "ar_cuit": _begins("2", "3", "5"),
    "no_fodselsnummer": _divisible(11, 3, 7, 6, 1, 8, 9, 4, 5, 2, 1),
    "ee_isikukood": _baltic,
    "lt_asmens_kodas": _baltic,
    "tr_kimlik": _turkish,
    "co_nit": _colombian,
    "th_pin": _thai,
    "my_nric": _month_at(2),
    "ch_ahv": _begins("756"),
    "si_emso": _month_at(2),
    "ro_cnp": _month_at(3),
    "za_identity_number": _luhn,
    "kr_rrn": _month_at(2),
    "cn_resident_id": _month_at(10),
    "id_nik": _month_at(8),
}
