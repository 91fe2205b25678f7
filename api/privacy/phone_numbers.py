"""Telephone numbers: international ones checked by their country's plan, national ones by a usual written form."""

from collections.abc import Iterator

import phonenumbers

from api.privacy.recognising import Recogniser, Verdict
from api.privacy.scores import Grade


def _check_international(text: str) -> Iterator[Verdict]:
    number = text.replace("(0)", "").removeprefix("00")
    digits = "".join(filter(str.isdigit, number))
    plain = _split_country(digits)
    if plain is not None and phonenumbers.is_valid_number(plain):
        yield "phone_number", Grade.VALID
        return
    try:
        parsed = phonenumbers.parse(f"+{digits}")  # takes a trunk prefix off, at twice the time
    except phonenumbers.NumberParseException:
        return
    if phonenumbers.is_valid_number(parsed):
        yield "phone_number", Grade.VALID
    elif phonenumbers.is_possible_number(parsed):
        yield "phone_number", Grade.TELLING


def _split_country(digits: str) -> phonenumbers.PhoneNumber | None:
    """Return a number whose digits are a country's code and a national number as it is dialled from abroad."""
    for length in (1, 2, 3):
        code, national = int(digits[:length]), digits[length:]
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            zeros = len(national) - len(national.lstrip("0")) if national.strip("0") else 0
            return phonenumbers.PhoneNumber(
                country_code=code,
                national_number=int(national or 0),
                italian_leading_zero=True if zeros else None,
                number_of_leading_zeros=zeros if zeros > 1 else None,
            )
    return None


def _check_north_american(text: str) -> Iterator[Verdict]:
    """Yield a number of the North American plan as it is usually written; in brackets hardly anything else."""
    digits = "".join(filter(str.isdigit, text))[-10:]
    if digits[0] not in "01" and digits[3] not in "01":
        yield "phone_number", Grade.TELLING if "(" in text or "-" in text else Grade.FORM


PHONES = (
    Recogniser(rb"(?:\+|\b00)[1-9][0-9 ()./-]{5,22}[0-9]", _check_international, 20),
    Recogniser(
        rb"(?:\+?\b1[ .-]?)?(?:\([0-9]{3}\) ?|\b[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}\b",
        _check_north_american,
    ),
)
