"""Log rows as typed frames: JSON inputs decoded by the features' types."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from monitoring.features import NUMERIC, FeatureSpec

UNREADABLE = float("inf")  # present but no number: `bins` counts a non-finite number as unseen


@dataclass(frozen=True)
class LogBatch:
    """Rows of the log that have inputs, and how many came without.

    `inputs`: a Float64 or String column per feature. `answers`: `prediction` (String), `score` (Float64), and `draw`
    (Int64), a fixed random number of the row by which samples are drawn. `bare_answers`: the same of the rows without.
    """

    inputs: pl.DataFrame
    answers: pl.DataFrame
    skipped: int = 0
    bare_answers: pl.DataFrame | None = None


def decode_inputs(texts: pl.Series, features: Sequence[FeatureSpec]) -> pl.DataFrame:
    """Return a typed column per feature from JSON objects; absent and null are null, other keys are ignored.

    The log holds numbers for numeric features; should anything else be there (a text, a nested value, a number beyond
    double), the row still counts: that value reads as unseen, the others as they are.
    """
    dtype = pl.Struct({f.name: pl.Float64 if f.type == NUMERIC else pl.String for f in features})
    try:
        return _unnest(texts.str.json_decode(dtype), features)
    except pl.exceptions.ComputeError:
        rows = [_row(json.loads(text), features) for text in texts.to_list()]
        return pl.DataFrame(rows, schema=dict(dtype), orient="row")


def _unnest(structs: pl.Series, features: Sequence[FeatureSpec]) -> pl.DataFrame:
    return pl.DataFrame([structs.struct.field(f.name) for f in features])


def _row(inputs: Any, features: Sequence[FeatureSpec]) -> list[float | str | None]:  # noqa: ANN401 - any JSON
    values = inputs if isinstance(inputs, dict) else {}
    return [(_number if f.type == NUMERIC else _label)(values.get(f.name)) for f in features]


def _number(value: object) -> float | None:
    if value is None:
        return None
    try:
        return float(value) if isinstance(value, int | float | str) else UNREADABLE
    except (ValueError, OverflowError):
        return UNREADABLE


def _label(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
