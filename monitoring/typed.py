"""Columns as the model's types: numbers as Float64, labels as String in the model's spelling."""

from dataclasses import dataclass

import polars as pl

from monitoring.features import NUMERIC, FeatureSpec
from monitoring.labels import NA_WORDS, canonical_labels

MAX_TEXT_BYTES = 1_000

_TRUTH = {"true": 1.0, "True": 1.0, "TRUE": 1.0, "false": 0.0, "False": 0.0, "FALSE": 0.0}
_LOCAL_TIMES = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%m/%d/%Y", "%d-%b-%Y")
_ZONED_TIMES = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z")


@dataclass
class UnreadableValue(ValueError):
    """A value that its column's type cannot hold; `index` counts from 0 within the column given."""

    index: int
    reason: str


def typed_column(values: pl.Series, feature: FeatureSpec) -> pl.Series:
    """Return the column as Float64 (numeric) or String (categorical); raises UnreadableValue.

    NA words and non-finite numbers become null, truth values 1 and 0, dates and times epoch milliseconds (UTC).
    """
    if values.dtype == pl.Null:
        return values.cast(pl.Float64 if feature.type == NUMERIC else pl.String)
    if values.dtype.is_nested() or values.dtype in {pl.Binary, pl.Object}:
        raise UnreadableValue(0, f"holds {values.dtype}, not single values")
    if feature.type != NUMERIC:
        return _labels(values, feature)
    numbers = _numbers_of_text(values.cast(pl.String)) if _is_text(values) else _numbers(values)
    return numbers.replace([float("inf"), float("-inf"), float("nan")], None)


def _is_text(values: pl.Series) -> bool:
    return isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum)


def _numbers(values: pl.Series) -> pl.Series:
    if values.dtype.is_temporal() and values.dtype not in {pl.Time, pl.Duration}:
        return values.cast(pl.Datetime("ms")).dt.epoch("ms").cast(pl.Float64)
    if values.dtype == pl.Duration:
        return values.dt.total_milliseconds().cast(pl.Float64)
    return values.cast(pl.Float64)


def _numbers_of_text(values: pl.Series) -> pl.Series:
    text = values.str.strip_chars()
    numbers = text.cast(pl.Float64, strict=False)
    left = numbers.is_null() & text.is_not_null() & ~text.is_in(list(NA_WORDS))
    if not left.any():
        return numbers
    numbers = numbers.zip_with(~left, text.replace_strict(_TRUTH, default=None, return_dtype=pl.Float64))
    numbers = numbers.fill_null(_times(text.zip_with(left, pl.Series([None], dtype=pl.String))))
    unread = (left & numbers.is_null()).arg_true()
    if unread.len():
        raise UnreadableValue(unread[0], f"{values[unread[0]][:40]!r} is not a number")
    return numbers


def _times(text: pl.Series) -> pl.Series:
    found = pl.Series([None], dtype=pl.Float64).new_from_index(0, text.len())
    for pattern in _LOCAL_TIMES + _ZONED_TIMES:
        times = text.str.to_datetime(pattern, strict=False, time_unit="ms")
        found = found.fill_null(times.dt.epoch("ms").cast(pl.Float64))
    return found


def _labels(values: pl.Series, feature: FeatureSpec) -> pl.Series:
    if values.dtype.is_float():
        values = values.fill_nan(None)
    text = values.cast(pl.String)
    with_nul = text.str.contains("\0", literal=True).arg_true()
    if with_nul.len():
        raise UnreadableValue(with_nul[0], "holds a NUL character")
    if (text.str.len_bytes().max() or 0) > MAX_TEXT_BYTES:  # type: ignore[operator] # an integer
        raise UnreadableValue(text.str.len_bytes().arg_max() or 0, f"is longer than {MAX_TEXT_BYTES:,} bytes")
    return canonical_labels(text, feature.domain)
