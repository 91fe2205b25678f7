"""Log rows as typed frames: JSON inputs decoded by the features' types."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from monitoring.features import NUMERIC, FeatureSpec
from monitoring.masked import bins_type

UNREADABLE = float("inf")  # present but no number: `bins` counts a non-finite number as unseen


@dataclass(frozen=True)
class LogBatch:
    """Rows of the log that have inputs, and how many came without.

    `inputs`: a Float64 or String column per feature. `answers`: `prediction` (String), `score` (Float64), and `draw`
    (Int64), a fixed random number of the row by which samples are drawn. `bare_answers`: the same of the rows without.
    `bins`: a column for each feature of which some values are masked, null where the value is not (`masked.bins_type`).
    """

    inputs: pl.DataFrame
    answers: pl.DataFrame
    skipped: int = 0
    bare_answers: pl.DataFrame | None = None
    bins: pl.DataFrame | None = None


@dataclass(frozen=True)
class WholeBatch:
    """Rows of the log of any status: `rows` has all of them, `answered` those with an answer.

    `rows`: `created_at` (UTC), `request` (Int64 that stands for the request's id), `status_code`, `latency_ms`. The
    `answers` and `bare_answers` of `answered` have `created_at` too.
    """

    rows: pl.DataFrame
    answered: LogBatch


def decode_inputs(texts: pl.Series, features: Sequence[FeatureSpec]) -> pl.DataFrame:
    """Return a typed column per feature from JSON objects; absent and null are null, other keys are ignored.

    The log holds numbers for numeric features; should anything else be there (a text, a nested value, a number beyond
    double), the row still counts: that value reads as unseen, the others as they are.
    """
    return _decode(texts, {f.name: pl.Float64() if f.type == NUMERIC else pl.String() for f in features})


def decode_masked(
    texts: pl.Series, bins: pl.Series, features: Sequence[FeatureSpec]
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Return what `decode_inputs` does, null for masked values whatever stands in their place, and the rows' bins."""
    if bins.null_count() == bins.len():
        return decode_inputs(texts, features), None
    kept = _unnest(bins.str.json_decode(pl.Struct({f.name: bins_type(f.type) for f in features})))
    masked = [column.name for column in kept if column.null_count() < column.len()]
    inputs = _decode(texts, {f.name: _readable(f, masked) for f in features})
    visible = [_visible(inputs[f.name], kept[f.name], f) for f in features if f.name in masked]
    return inputs.with_columns(visible), kept.select(masked)


def _readable(feature: FeatureSpec, masked: Collection[str]) -> pl.DataType:
    """Return what a column can be read as: any text may stand where a number was masked."""
    return pl.Float64() if feature.type == NUMERIC and feature.name not in masked else pl.String()


def _visible(texts: pl.Series, kept: pl.Series, feature: FeatureSpec) -> pl.Series:
    shown = texts.zip_with(kept.is_null(), pl.Series([None], dtype=pl.String).new_from_index(0, texts.len()))
    if feature.type != NUMERIC:
        return shown
    unreadable = pl.select(pl.when(shown.is_not_null()).then(UNREADABLE)).to_series()
    return shown.cast(pl.Float64, strict=False).fill_null(unreadable)


def _decode(texts: pl.Series, types: dict[str, pl.DataType]) -> pl.DataFrame:
    try:
        return _unnest(texts.str.json_decode(pl.Struct(types)))
    except pl.exceptions.ComputeError:
        rows = [_row(json.loads(text), types) for text in texts.to_list()]
        return pl.DataFrame(rows, schema=types, orient="row")


def _unnest(structs: pl.Series) -> pl.DataFrame:
    return pl.DataFrame([structs.struct.field(name) for name in structs.struct.fields])


def _row(inputs: Any, types: dict[str, pl.DataType]) -> list[float | str | None]:  # noqa: ANN401 - any JSON
    values = inputs if isinstance(inputs, dict) else {}
    return [(_number if dtype == pl.Float64 else _label)(values.get(name)) for name, dtype in types.items()]


def _number(value: object) -> float | None:
    if value is None:
        return None
    try:
        return float(value) if isinstance(value, int | float | str) else UNREADABLE
    except (ValueError, OverflowError):
        return UNREADABLE


def _label(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
