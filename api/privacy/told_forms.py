"""Forms that tell only after words that do: dates ("born 1984-03-12") and numbers ("passport C01X00T47", "tel 030")."""

from api.privacy.recognising import TOLD, Recogniser
from api.privacy.scores import Grade

_BEFORE_DATES = (
    rb"(?i)\b(?:dob|birth|birthday|born|geboren|geb|geburtsdatum|nacimiento|naissance|nascimento|nascita|"
    rb"admi(?:ssion|tted)|discharged?|surgery|procedure|death|died|deceased|diagnosed?)\b"
)
_BEFORE_NUMBERS = (
    rb"(?i)\b(?:passport|reisepass|passeport|pasaporte|passaporto|mrn|medical|patient|licen[cs]e|dl|driver|"
    rb"fuhrerschein|policy|account|acct|konto|member|customer|employee|student|kundennummer|kunden|beneficiary|"
    rb"health|insurance|certificate|identity|ausweis|plate|serial|device|cvv|cvc|pin|national|tax|visa|voter)\b"
)
_DATE = (
    rb"\b(?:[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2,4}|"
    rb"[0-9]{1,2}\.? [A-Za-z\xff]{3,10} [0-9]{4}|[A-Za-z]{3,9} [0-9]{1,2}, [0-9]{4})\b"
)
_BEFORE_PHONES = (
    rb"(?i)\b(?:tele?(?:phone|fono?)?|telefax|fax|phone|mobile|mobil|handy|cell|cellphone|telephon|telefonnummer)\b"
)
_PHONE = rb"\(?\b[0-9][0-9 ()./-]{4,22}[0-9]\b"
_NUMBER = rb"\b[A-Za-z]{0,4}-?[0-9][A-Za-z0-9-]{2,19}\b"

TOLD_FORMS = (
    Recogniser(_DATE, lambda _: iter([(TOLD, Grade.LOOSE)]), 3, gate=_BEFORE_DATES),
    Recogniser(_PHONE, lambda _: iter([(TOLD, Grade.LOOSE)]), 3, gate=_BEFORE_PHONES),
    Recogniser(_NUMBER, lambda _: iter([(TOLD, Grade.LOOSE)]), 3, gate=_BEFORE_NUMBERS),
)
