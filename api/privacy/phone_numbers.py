"""Telephone numbers: international ones checked by their country's plan, national ones by a usual written form."""

from collections.abc import Iterator

import phonenumbers

from api.privacy.recognising import Recogniser, Verdict
from api.privacy.scores import Grade


def _check_international(text: str) -> Iterator[Verdict]:
    number = f"+{text[2:]}" if text.startswith("00") else text
    try:
        parsed = phonenumbers.parse(number.replace("(0)", ""))
    except phonenumbers.NumberParseException:
        return
    if phonenumbers.is_valid_number(parsed):
        yield "phone_number", Grade.VALID
    elif phonenumbers.is_possible_number(parsed):
        yield "phone_number", Grade.TELLING


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
