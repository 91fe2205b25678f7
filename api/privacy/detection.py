"""Where personal data stands in a value: by the column map, by the column's name, by the value itself."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from api.privacy.candidates import Candidate, TooMuchWork
from api.privacy.catalogue import CATALOGUE
from api.privacy.column_names import NameContext, read_name
from api.privacy.forms import has_form
from api.privacy.normal_form import NormalForm, normalise
from api.privacy.recognising import TOLD
from api.privacy.scanning import Scanner
from api.privacy.scores import COLUMN_MAP, FORM_AND_NAME, NAME_ONLY, Grade, score_alone, score_in_context
from api.privacy.surroundings import types_named_just_before, types_told_before

MAX_TEXT: Final = 100_000
UNEXAMINED: Final = "unexamined_text"
_SHORTEST = 6  # nothing shorter tells by itself
_LONGEST_WORD = 19  # the shortest key of a known maker has 20 characters, which may all be letters
_FEWEST_DIGITS = 8
_MOST_DIGITS = 20
_MAX_COLUMNS = 4_096
_LONGEST_COLUMN = 64
_NOTHING = frozenset({"unknown", "none", "n/a", "na", "nan", "null", "-", "--", "?", "missing", "not available"})

_NO_VALUES = frozenset(nothing.encode() for nothing in _NOTHING)
# Types of which no value proves itself: a form beside a telling column name is the most there is.
_NEVER_PROVED = frozenset(
    {"date_of_birth", "health_date", "postal_code", "age", "first_name", "last_name", "person_name"}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A stretch of a value that is personal data: characters `start` to `end` of `str(value)`, and how it was told."""

    start: int
    end: int
    pii_type: str
    score: float
    how: str


class Detector:
    """Finds personal data of the given types; immutable but for what it remembers of columns, so threads share it.

    A mapped column's values are found whatever `types` says: who maps a column knows it.
    """

    def __init__(self, types: Collection[str], *, column_map: Mapping[str, str], threshold: float) -> None:
        self._types = frozenset(types)
        self._column_map = dict(column_map)
        self._threshold = threshold
        self._telling = frozenset(grade for grade in Grade if score_alone(grade, is_doubtful=True) >= threshold)
        self._scanner = Scanner(self._types)
        self._names: dict[str, NameContext] = {}

    def find(self, column: str, value: object) -> list[Finding]:
        """Return what is found in a column's value: ordered, not overlapping, scores from the threshold up.

        A value that is one type as a whole gives one finding, of `start` 0 and `end` the length of `str(value)`.
        """
        if value is None or value == "":
            return []
        mapped = self._column_map.get(column)
        if mapped is not None:
            return [Finding(0, len(str(value)), mapped, COLUMN_MAP, "column map")]
        name = self._names.get(column) or self._read_name(column)
        if isinstance(value, bool):
            return self._find_told(name, str(value), [], normalise(str(value))) if name.types else []
        if isinstance(value, int | float):
            return self._find_in_number(name, value)
        return self._find_in_value(name, value if isinstance(value, str) else str(value))

    def is_told_by(self, column: str) -> bool:
        """Tell whether a column's name speaks of one of the types."""
        return bool((self._names.get(column) or self._read_name(column)).types)

    def find_in_text(self, text: str) -> list[Finding]:
        """Return what is found in a text of no column.

        One longer than MAX_TEXT, or with more to check than its length allows, is one finding of type UNEXAMINED.
        """
        if len(text) > MAX_TEXT:
            return _unexamined(text)
        form = normalise(text)
        try:
            candidates = self._scanner.scan(form.data)
        except TooMuchWork:
            return _unexamined(text)
        return self._resolve(self._judge(candidate, form, is_doubtful=False) for candidate in candidates)

    def _read_name(self, column: str) -> NameContext:
        name = read_name(column, self._types)
        if len(column) <= _LONGEST_COLUMN:
            if len(self._names) >= _MAX_COLUMNS:  # by columns no model has: those it has come back
                self._names.clear()
            self._names[column] = name
        return name

    def _find_in_value(self, name: NameContext, text: str) -> list[Finding]:
        if not name.types and (len(text) < _SHORTEST or (len(text) <= _LONGEST_WORD and _is_words(text))):
            return []
        if len(text) > MAX_TEXT:
            return _unexamined(text)
        form = normalise(text)
        if len(name.types) == 1 and self._is_told_by_form(name.types[0], form.data):
            return [Finding(0, len(text), name.types[0], FORM_AND_NAME, "form and column name")]
        try:
            candidates = self._scanner.scan_digits(text) if _is_digits(text) else self._scanner.scan(form.data)
        except TooMuchWork:
            return _unexamined(text)
        if name.types:
            return self._find_told(name, text, candidates, form)
        return self._resolve(self._judge(candidate, form, is_doubtful=name.is_doubtful) for candidate in candidates)

    def _is_told_by_form(self, pii_type: str, data: bytes) -> bool:
        """Tell whether a form is all that a value can add to what its column's name tells, and it has that form."""
        if pii_type not in _NEVER_PROVED or self._threshold > FORM_AND_NAME or data.strip().lower() in _NO_VALUES:
            return False
        return has_form(pii_type, CATALOGUE[pii_type].category, data)

    def _find_in_number(self, name: NameContext, value: float) -> list[Finding]:
        """Return what a JSON number is: its digits count as text's do, but one check digit proves less."""
        digits = _digits_of(value)
        if not name.types and digits is None:
            return []
        text = str(value)
        form = normalise(digits or text)
        candidates = self._scanner.scan_digits(digits, None if name.types else self._telling) if digits else []
        if name.types:
            return self._find_told(name, text, candidates, form)
        judged = [
            self._judge(candidate, form, is_doubtful=name.is_doubtful or candidate.grade is Grade.WEAK)
            for candidate in candidates
        ]
        best = max(judged, key=lambda finding: finding.score, default=None)
        if best is None or best.score < self._threshold:
            return []
        return [Finding(0, len(text), best.pii_type, best.score, best.how)]

    def _find_told(self, name: NameContext, text: str, candidates: list[Candidate], form: NormalForm) -> list[Finding]:
        """Return the one finding that a value is as a whole, since its column's name tells that it is personal."""
        if text.strip().lower() in _NOTHING:
            return []
        whole = [found for found in candidates if found.pii_type != TOLD and _is_whole(found, form.data)]
        proven = {candidate.pii_type: candidate.grade for candidate in whole}
        told = [_judge_told(pii_type, proven.get(pii_type), text, form) for pii_type in name.types]
        by_itself = [self._judge(candidate, form, is_doubtful=False) for candidate in whole]
        best = max(
            (*told, *by_itself), key=lambda finding: (finding in told and finding.score > NAME_ONLY, finding.score)
        )
        if best.score < self._threshold:
            return self._resolve(self._judge(candidate, form, is_doubtful=False) for candidate in candidates)
        return [Finding(0, len(text), best.pii_type, best.score, best.how)]

    def _judge(self, candidate: Candidate, form: NormalForm, *, is_doubtful: bool) -> Finding:
        start, end = form.span_in_text(candidate.start, candidate.end)
        if candidate.pii_type == TOLD:
            return Finding(start, end, *self._told_by_words(candidate, form.data))
        if _is_whole(candidate, form.data):
            start, end = form.span_in_text(0, len(form.data))
        elif candidate.pii_type in types_told_before(form.data, candidate.start):
            how = f"{candidate.grade.value} and words before"
            return Finding(start, end, candidate.pii_type, score_in_context(candidate.grade), how)
        score = score_alone(candidate.grade, is_doubtful=is_doubtful)
        return Finding(start, end, candidate.pii_type, score, candidate.grade.value)

    def _told_by_words(self, candidate: Candidate, data: bytes) -> tuple[str, float, str]:
        """Return type, score and reason of a stretch that only the words close before it tell; score 0 if none do."""
        stretch = data[candidate.start : candidate.end]
        for pii_type in types_named_just_before(data, candidate.start):
            if pii_type in self._types and (
                CATALOGUE[pii_type].detector == "column" or has_form(pii_type, CATALOGUE[pii_type].category, stretch)
            ):
                return pii_type, FORM_AND_NAME, "form and words before"
        return TOLD, 0.0, ""

    def _resolve(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return the findings at the threshold, ordered; of overlapping ones the surer, then the longer."""
        wanted = [finding for finding in findings if finding.score >= self._threshold and finding.score]
        ranked = sorted(wanted, key=lambda finding: (-finding.score, finding.start - finding.end, finding.start))
        return _keep_apart(ranked) if len(ranked) > 1 else ranked


def _judge_told(pii_type: str, grade: Grade | None, text: str, form: NormalForm) -> Finding:
    if grade is not None:
        return Finding(0, len(text), pii_type, score_in_context(grade), f"{grade.value} and column name")
    if has_form(pii_type, CATALOGUE[pii_type].category, form.data):
        return Finding(0, len(text), pii_type, FORM_AND_NAME, "form and column name")
    return Finding(0, len(text), pii_type, NAME_ONLY, "column name")


def _keep_apart(ranked: list[Finding]) -> list[Finding]:
    """Return the findings that overlap no earlier one, in the order of the text; n log n in their number."""
    taken: list[Finding] = []
    starts: list[int] = []
    for finding in ranked:
        place = bisect_left(starts, finding.start)
        if place and taken[place - 1].end > finding.start:
            continue
        if place < len(taken) and taken[place].start < finding.end:
            continue
        taken.insert(place, finding)
        starts.insert(place, finding.start)
    return taken


def _is_whole(candidate: Candidate, data: bytes) -> bool:
    return not data[: candidate.start].strip() and not data[candidate.end :].strip()


def _is_words(text: str) -> bool:
    """Tell whether a text is plain words, without any figure or sign that personal data has."""
    return text.replace("_", "").replace(" ", "").isalpha() and text.isascii()


def _is_digits(text: str) -> bool:
    """Tell whether a text is digits alone, and so no more than a number; after 00 it may be a telephone's."""
    return text.isdigit() and text.isascii() and not text.startswith("00")


def _digits_of(value: float) -> str | None:
    """Return a whole number's digits, None for one that no number of a person can be."""
    if isinstance(value, float):
        if not 0 < value < 2.0**63 or not value.is_integer():
            return None
        value = int(value)
    return str(value) if 10 ** (_FEWEST_DIGITS - 1) <= value < 10**_MOST_DIGITS else None


def _unexamined(text: str) -> list[Finding]:
    return [Finding(0, len(text), UNEXAMINED, 1.0, "more than can be looked at")]
