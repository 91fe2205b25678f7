"""Bins of single values on the predict path are those that windows are counted by."""

import math
from typing import Any

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from api.privacy.row_bins import RowBins
from monitoring.bins import LabelBins, NumericBins, label_bins, quantile_bins
from monitoring.masked import count_masked
from monitoring.profile import Binned

numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**300), 10**300)
labels = st.none() | st.text(max_size=2)


def placed(bins: NumericBins | LabelBins, value: Any) -> int | str:
    """What the predict path keeps of a value, the bins read from the profile's JSON."""
    profile = {"name": "x", "type": "any"} | Binned(bins, ()).to_json()
    return RowBins([profile]).places({"x": value}, ["x"])["x"]


@given(st.lists(numbers, max_size=60), numbers)
@example([1.0] * 20, 1.0)
@example([1, 2, 3], 10**300)
@example([], math.inf)
@example([1.0, 2.0], math.nan)
def test_a_number_falls_where_the_window_would_count_it(reference: list[Any], value: Any) -> None:
    bins = quantile_bins(pl.Series([None if n is None else float(n) for n in reference], dtype=pl.Float64))
    counts = bins.count(pl.Series([None if value is None else float(value)], dtype=pl.Float64))
    kept = pl.Series([placed(bins, value)], dtype=pl.Int64)
    assert count_masked(bins, kept)[0].tolist() == counts.tolist()


@given(st.lists(st.text(max_size=2), max_size=60), labels)
def test_a_label_is_known_exactly_when_the_window_counts_it_so(reference: list[str], value: str | None) -> None:
    bins = label_bins(pl.Series(reference, dtype=pl.String), top=5)
    counts = bins.count(pl.Series([value], dtype=pl.String))
    masked, known = count_masked(bins, pl.Series([placed(bins, value)], dtype=pl.String))
    assert masked[-2:].tolist() == counts[-2:].tolist()
    assert known == counts[:-2].sum()


def test_only_what_is_a_feature_has_a_bin() -> None:
    assert RowBins([]).places({"x": 1}, ["x"]) == {}
    assert RowBins([{"name": "x", "edges": [1.0]}]).places({"x": 1, "y": 2}, ["y", "x"]) == {"x": 0}
