"""How sure a finding is: the one table of scores, 0 to 1."""

from enum import Enum
from typing import NamedTuple


class _Scores(NamedTuple):
    alone: float
    in_context: float
    against: float


class Grade(Enum):
    """What a value proves by itself; its scores alone, with a telling column name or word, and with one against it."""

    CHECKED = "check digit"  # check digits and structure: under 3 of 100 numbers of that length pass by chance
    VALID = "full validation"  # whole syntax or checksum: chance does not make it
    WEAK = "one check digit"  # 1 of 10 numbers of that length pass by chance
    TELLING = "telling form"  # no check digit, but a form little else has
    FORM = "form"  # a form other things have as well
    LOOSE = "loose form"


_SCORES = {
    Grade.VALID: _Scores(alone=0.9, in_context=0.98, against=0.9),
    Grade.CHECKED: _Scores(alone=0.9, in_context=0.98, against=0.45),
    Grade.WEAK: _Scores(alone=0.6, in_context=0.98, against=0.4),
    Grade.TELLING: _Scores(alone=0.6, in_context=0.8, against=0.4),
    Grade.FORM: _Scores(alone=0.4, in_context=0.8, against=0.3),
    Grade.LOOSE: _Scores(alone=0.3, in_context=0.8, against=0.3),
}
COLUMN_MAP = 1.0
FORM_AND_NAME = 0.8
NAME_ONLY = 0.55


def score_alone(grade: Grade, *, is_doubtful: bool) -> float:
    """Return the score of a value nothing speaks for; doubtful where its column's name or its JSON type says number."""
    scores = _SCORES[grade]
    return scores.against if is_doubtful else scores.alone


def score_in_context(grade: Grade) -> float:
    """Return the score of a value whose column's name, or a word before it, tells the same type."""
    return _SCORES[grade].in_context
