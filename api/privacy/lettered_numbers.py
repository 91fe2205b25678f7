"""Numbers with letters in them: national numbers, documents, vehicles, bank accounts."""

from collections.abc import Callable, Iterator

from stdnum import iban
from stdnum.cl import rut
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.ie import pps
from stdnum.it import codicefiscale
from stdnum.mx import curp, rfc
from stdnum.pt import cc

from api.privacy.national_numbers import is_resident_id
from api.privacy.recognising import Recogniser, Verdict
from api.privacy.scores import Grade


def _checked(
    pattern: bytes,
    pii_type: str,
    is_valid: Callable[[str], bool],
    grade: Grade = Grade.CHECKED,
) -> Recogniser:
    def check(text: str) -> Iterator[Verdict]:
        compact = text.translate(_SEPARATORS).upper()
        if is_valid(compact):
            yield pii_type, grade

    return Recogniser(rb"(?i)\b" + pattern + rb"\b", check)


def _formed(pattern: bytes, pii_type: str, grade: Grade) -> Recogniser:
    return _checked(pattern, pii_type, lambda _: True, grade)


def _is_curp(text: str) -> bool:
    """Check a CURP by its check digit and date alone; its states are no closed list."""
    is_date = 1 <= int(text[6:8]) <= 12 and 1 <= int(text[8:10]) <= 31
    return is_date and bool(curp.calc_check_digit(text) == text[-1])


def _is_nric(text: str) -> bool:
    """Check a Singaporean number: weights 2 7 6 5 4 3 2, an offset of 4 for T and G and 3 for M, a letter of 11."""
    total = sum(int(digit) * weight for digit, weight in zip(text[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True))
    first = text[0]
    if first == "M":
        return "XWUTRQPNJLK"[10 - (total + 3) % 11] == text[8]
    letters = "JZIHGFEDCBA" if first in "ST" else "XWUTRQPNMLK"
    return letters[(total + (4 if first in "TG" else 0)) % 11] == text[8]


def _is_dea(text: str) -> bool:
    odd, even = sum(map(int, text[2:8:2])), sum(map(int, text[3:8:2]))
    return (odd + 2 * even) % 10 == int(text[8])


_VIN_VALUES = {
    **{str(d): d for d in range(10)},
    **dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", map(int, "12345678123457923456789"), strict=True)),
}
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def is_vin(text: str) -> bool:
    """Tell whether the ninth character is the check digit of ISO 3779 and 49 CFR 565."""
    total = sum(_VIN_VALUES[char] * weight for char, weight in zip(text, _VIN_WEIGHTS, strict=True))
    return "0123456789X"[total % 11] == text[8] and len(set(text)) > 4


def _check_vin(text: str) -> Iterator[Verdict]:
    vin = text.upper()
    if vin[-4:].isdigit() and not vin.isdigit():
        yield "vehicle_identification_number", Grade.CHECKED if is_vin(vin) else Grade.FORM


def _check_iban(text: str) -> Iterator[Verdict]:
    """Yield an IBAN of its country's structure whose check digits are right (ISO 13616)."""
    if iban.is_valid(text, check_country=False):
        yield "iban", Grade.CHECKED


_MRZ_WEIGHTS = (7, 3, 1)


def _mrz_digit(field: str) -> str:
    values = (0 if char == "<" else int(char, 36) for char in field)
    return str(sum(value * _MRZ_WEIGHTS[place % 3] for place, value in enumerate(values)) % 10)


def _is_mrz_line(line: str) -> bool:
    """Check the second line of a passport's zone (ICAO 9303): digits of number, birth and expiry."""
    return all(_mrz_digit(line[a:b]) == line[b] for a, b in ((0, 9), (13, 19), (21, 27)))


def _check_mrz(text: str) -> Iterator[Verdict]:
    line = text.upper()
    if line[0] in "PV" and "<<" in line[5:]:
        yield "passport_mrz", Grade.VALID
    elif (
        len(line) >= 28 and line[9].isdigit() and line[13:20].isdigit() and line[21:28].isdigit() and _is_mrz_line(line)
    ):
        yield "passport_mrz", Grade.CHECKED


_SEPARATORS = str.maketrans("", "", " -./")

LETTERED = (
    Recogniser(rb"(?i)\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", _check_iban, 3, trims=True),
    Recogniser(rb"(?i)\b[A-HJ-NPR-Z0-9]{17}\b", _check_vin),
    _formed(rb"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]", "gb_nino", Grade.TELLING),
    _checked(rb"[0-9]{8}[ -]?[A-Z]", "es_dni", dni.is_valid),
    _checked(rb"[XYZ]-?[0-9]{7}-?[A-Z]", "es_nie", nie.is_valid),
    _checked(
        rb"[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]",
        "it_codice_fiscale",
        codicefiscale.is_valid,
    ),
    _checked(rb"[12] ?[0-9]{2} ?[0-9]{2} ?2[AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", "fr_nir", nir.is_valid),
    Recogniser(
        rb"(?i)\b[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-Y]\b",
        lambda text: iter([("fi_hetu", Grade.CHECKED)] if hetu.is_valid(text.upper()) else []),
    ),
    _checked(rb"[0-9]{7}[A-W][A-IW]?", "ie_pps", pps.is_valid),
    _checked(rb"[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[A-Z0-9][0-9]", "mx_curp", _is_curp),
    _checked(
        rb"[A-Z]{4}[ -]?[0-9]{6}[ -]?[A-Z0-9]{3}", "mx_rfc", lambda text: rfc.is_valid(text, validate_check_digits=True)
    ),
    _formed(rb"[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]", "in_pan", Grade.TELLING),
    _checked(rb"[STFGM][0-9]{7}[A-Z]", "sg_nric", _is_nric),
    _checked(
        rb"(?:[0-9]{1,2}\.?[0-9]{3}\.?[0-9]{3}|[0-9]{3}\.[0-9]{3})-[0-9K]",
        "cl_rut",
        lambda text: bool(rut.is_valid(text.zfill(8))),
    ),
    _checked(rb"[0-9]{17}X", "cn_resident_id", is_resident_id),
    _checked(rb"[0-9]{8} ?[0-9] ?[A-Z][A-Z0-9][0-9]", "pt_citizen_card", cc.is_valid),
    _formed(
        rb"[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-?"
        rb"[AC-HJKMNP-RT-Y]{2}[0-9]{2}",
        "us_medicare_number",
        Grade.TELLING,
    ),
    _checked(rb"[A-HJ-MPR-UX][A-Z9][0-9]{7}", "us_dea_number", _is_dea, Grade.WEAK),
    Recogniser(
        rb"\b(?:[PV][A-Z<][A-Z<]{3}[A-Z<]{10,39}|[A-Z0-9<]{9}[0-9][A-Z<]{3}[0-9]{7}[MFX<][0-9]{7}[A-Z0-9<]{2,16})",
        _check_mrz,
    ),
)
