"""What a detector found in a table's columns, counted and without the values themselves."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl

from api.privacy.catalogue import CATALOGUE
from api.privacy.detection import MAX_TEXT, UNEXAMINED, Detector, Finding

_MOST = 0.5
_PLAIN = (pl.String, pl.Categorical, pl.Enum, pl.Decimal, pl.Date, pl.Datetime, pl.Time)


@dataclass
class TypeTally:
    """How many values held this type, and the surest finding of it."""

    values: int = 0
    score: float = 0.0
    how: str = ""

    def add(self, best: Finding, count: int) -> None:
        """Count a value that occurs `count` times."""
        self.values += count
        if best.score > self.score:
            self.score, self.how = best.score, best.how


@dataclass(frozen=True)
class ColumnFinding:
    """One type of personal data in one column; `share` is that of the column's values (nulls aside) that hold it."""

    column: str
    pii_type: str
    title: str
    values: int
    share: float
    score: float
    how: str


@dataclass
class ColumnTally:
    """One column as far as it was read. `skipped` says why it was not looked at.

    One number with a check digit proves little, a column of them much: `as_text` is what numbers would be as text, and
    counts where most of the column is that.
    """

    name: str
    values: int = 0
    types: dict[str, TypeTally] = field(default_factory=dict)
    as_text: dict[str, TypeTally] = field(default_factory=dict)
    skipped: str | None = None

    def add(self, detector: Detector, values: pl.Series) -> None:
        """Look at some more values; equal ones are looked at once."""
        present = values.drop_nulls()
        self.values += present.len()
        if present.dtype == pl.Boolean or present.is_empty():
            return  # true and false name nobody
        if present.dtype in {pl.Binary, pl.Object}:
            self.skipped = f"its values are {str(present.dtype).lower()}"
        elif present.dtype.is_nested():
            for value in present.to_list():
                _count(self.types, [found for leaf in _leaves(self.name, value) for found in detector.find(*leaf)], 1)
        else:
            plain = present.cast(pl.String) if present.dtype in _PLAIN else present
            for value, count in plain.alias("").value_counts().iter_rows():
                _count(self.types, detector.find(self.name, value), count)
                if isinstance(value, int):
                    _count(self.as_text, detector.find(self.name, str(value)), count)

    def findings(self) -> list[ColumnFinding]:
        """Return the types that were found, the commonest first."""
        mostly = {name: t for name, t in self.as_text.items() if t.values >= _MOST * self.values}
        commonest = sorted((mostly | self.types).items(), key=lambda item: (-item[1].values, item[0]))
        return [
            ColumnFinding(self.name, name, _title(name), t.values, t.values / self.values, t.score, t.how)
            for name, t in commonest
        ]


def _count(types: dict[str, TypeTally], found: list[Finding], count: int) -> None:
    best: dict[str, Finding] = {}
    for finding in found:
        held = best.get(finding.pii_type)
        if held is None or finding.score > held.score:
            best[finding.pii_type] = finding
    for name, finding in best.items():
        types.setdefault(name, TypeTally()).add(finding, count)


def _title(pii_type: str) -> str:
    if pii_type == UNEXAMINED:
        return f"Text over {MAX_TEXT:,} characters"
    return CATALOGUE[pii_type].title


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - whatever a Parquet file nests
    """Yield the single values of a nested one, each with the name it stands under."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(str(key), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(name, inner)
    elif isinstance(value, date | datetime | time | Decimal):
        yield name, str(value)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield name, value
