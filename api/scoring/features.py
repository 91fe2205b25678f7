"""From JSON rows to the numbers a model takes: the hot path, one pass over the cells."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from api.scoring.errors import MAX_ROW_ERRORS, InvalidRows, NotANumber, RowError

NAN = math.nan
_HIGHEST = 1.7976931348623157e308
_LOWEST = -_HIGHEST
_NUMBER = re.compile(r"[ \t]*[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,4})?[ \t]*", re.ASCII)
_MAX_EXAMPLES = 3
_MAX_EXAMPLE_TEXT = 100
_EXACT_INT = 2.0**53

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Feature:
    """An input column of a model; a categorical one has its labels, in the order the model numbers them."""

    name: str
    type: Literal["numeric", "categorical"]
    domain: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows ready to score.

    `matrix` is float64 [rows, features], C-contiguous, NaN where a value is missing or unseen. `inputs` are the rows
    as the log keeps them: numbers for numeric features, text for categorical ones, None for an explicit null, absent
    keys absent; a row that was so already is the caller's own object, not a copy. `warnings` counts unseen categories:
    `{"feature", "unseen", "examples"}`.
    """

    matrix: np.ndarray
    inputs: list[dict[str, Any]]
    warnings: list[dict[str, Any]]


@dataclass(slots=True)
class _Findings:
    errors: list[RowError] = field(default_factory=list)
    unseen: dict[str, tuple[int, list[str]]] = field(default_factory=dict)

    def refuse(self, row: int, name: str | None, message: str, without_value: str | None = None) -> None:
        self.errors.append(RowError(row, name if name is None else name[:200], message, without_value))
        if len(self.errors) >= MAX_ROW_ERRORS:
            raise InvalidRows(self.errors)

    def count_unseen(self, name: str, label: str) -> None:
        count, examples = self.unseen.get(name, (0, []))
        example = label[:_MAX_EXAMPLE_TEXT]
        if len(examples) < _MAX_EXAMPLES and example not in examples:
            examples.append(example)
        self.unseen[name] = (count + 1, examples)


class RowEncoder:
    """Encodes rows for one list of features; immutable, so threads share it."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._width = len(features)
        self._numeric = {f.name: i for i, f in enumerate(features) if f.domain is None}
        self._categorical = {
            f.name: (i, {label: float(code) for code, label in enumerate(f.domain)})
            for i, f in enumerate(features)
            if f.domain is not None
        }

    def encode(self, rows: Sequence[Row]) -> Encoded:
        """Return the rows encoded; raises InvalidRows naming each row and field that cannot be read."""
        found = _Findings()
        flat = [NAN] * (len(rows) * self._width)
        for number, row in enumerate(rows):
            if not isinstance(row, dict):
                found.refuse(number, None, "must be an object of feature names and values")
        if found.errors:
            raise InvalidRows(found.errors)
        inputs = [self._encode_row(number, row, flat, found) for number, row in enumerate(rows)]
        if found.errors:
            raise InvalidRows(found.errors)
        matrix = np.array(flat, dtype=np.float64).reshape(len(rows), self._width)
        warnings = [
            {"feature": name, "unseen": count, "examples": examples} for name, (count, examples) in found.unseen.items()
        ]
        return Encoded(matrix, inputs, warnings)

    def _encode_row(self, number: int, row: Row, flat: list[float], found: _Findings) -> dict[str, Any]:
        """Write one row into `flat`; the common kinds of value are decided here, inline, the rest in `_rewrite`."""
        numeric, categorical, base = self._numeric, self._categorical, number * self._width
        changed: dict[str, Any] | None = None
        for name, value in row.items():
            position = numeric.get(name)
            if position is not None:
                kind = type(value)
                if (kind is float or kind is int) and _LOWEST <= value <= _HIGHEST:
                    flat[base + position] = value
                    continue
            else:
                column = categorical.get(name)
                if column is not None and type(value) is str:
                    code = column[1].get(value)
                    if code is not None:
                        flat[base + column[0]] = code
                        continue
            canonical = self._rewrite(number, name, value, flat, found)
            if canonical is not value:
                changed = changed or dict(row)
                changed[name] = canonical
        return changed or row

    def _rewrite(self, number: int, name: str, value: object, flat: list[float], found: _Findings) -> object:
        """Encode a value of an uncommon kind and return it as the log keeps it; faults go to `found`."""
        base = number * self._width
        try:
            if value is None and (name in self._numeric or name in self._categorical):
                return None
            if name in self._numeric:
                canonical = read_number(value)
                flat[base + self._numeric[name]] = canonical
                return canonical
            if name in self._categorical:
                position, codes = self._categorical[name]
                label = read_label(value, codes)
                flat[base + position] = codes.get(label, NAN)
                if label not in codes:
                    found.count_unseen(name, label)
                return value if value == label else label
        except NotANumber as error:
            found.refuse(number, name, str(error), error.without_value)
            return value
        except ValueError as error:
            found.refuse(number, name, str(error))
            return value
        found.refuse(number, name, "is not a feature of the model")
        return value


def read_number(value: object) -> float | int:
    """Return the finite number that a JSON value means; raises ValueError saying what is wrong."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        if not _LOWEST <= value <= _HIGHEST:
            raise ValueError("must be a finite number" if isinstance(value, float) else "is too large a number")
        return value
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise NotANumber(value)
        number = float(value)
        if math.isinf(number):
            raise ValueError("is too large a number")
        return number
    raise ValueError(f"must be a number, not {_kind(value)}")


def read_label(value: object, known: Mapping[str, float]) -> str:
    """Return the label that a JSON value means for a categorical feature, one of `known` where possible.

    Raises ValueError saying what is wrong with the value.
    """
    if isinstance(value, str):
        if not _is_text(value):
            raise ValueError("must be text without lone surrogates or NUL characters")
        return value
    spellings = _spellings(value)
    return next((text for text in spellings if text in known), spellings[0])


def _spellings(value: object) -> tuple[str, ...]:
    """Return the texts a CSV file may have held where JSON has a boolean or a number, the likeliest first."""
    if isinstance(value, bool):
        text = "true" if value else "false"
        return (text, text.capitalize(), text.upper(), str(int(value)))
    if isinstance(value, int):
        if not _LOWEST <= value <= _HIGHEST:
            raise ValueError("is too large a number")
        return (str(value), f"{value}.0")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("must be text or a finite number")
        whole = value.is_integer() and abs(value) < _EXACT_INT
        return (repr(value), str(int(value))) if whole else (repr(value),)
    raise ValueError(f"must be text, a number or a boolean, not {_kind(value)}")


def _is_text(value: str) -> bool:
    """Tell whether PostgreSQL can keep the text."""
    try:
        return b"\0" not in value.encode("utf-8")
    except UnicodeEncodeError:
        return False


def _kind(value: object) -> str:
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "that kind of value"
