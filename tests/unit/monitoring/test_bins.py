"""Bins: frozen once, counting anything later."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.bins import LabelBins, NumericBins, label_bins, quantile_bins
from monitoring.psi import psi

numbers = st.lists(st.none() | st.floats(width=64), max_size=200)
labels = st.lists(st.none() | st.text(max_size=3), max_size=200)


def column(values: list[float | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64)


def by_hand(edges: tuple[float, ...], values: list[float | None]) -> list[int]:
    """The rule of the docstring, one value at a time."""
    counts = [0] * (len(edges) + 3)
    for value in values:
        if value is None or math.isnan(value):
            counts[-2] += 1
        elif math.isinf(value):
            counts[-1] += 1
        else:
            counts[sum(value > edge for edge in edges)] += 1
    return counts


@given(numbers, numbers)
def test_numbers_are_counted_as_by_hand(reference: list[float | None], later: list[float | None]) -> None:
    bins = quantile_bins(column(reference))
    assert bins.count(column(later)).tolist() == by_hand(bins.edges, later)
    assert list(bins.edges) == sorted(set(bins.edges))
    assert all(math.isfinite(edge) for edge in bins.edges)
    assert len(bins.edges) <= 10
    assert len(bins.names) == bins.size


@given(numbers, st.integers(0, 200))
def test_parts_count_as_the_whole(values: list[float | None], cut: int) -> None:
    bins = quantile_bins(column(values))
    parts = bins.count(column(values[:cut])) + bins.count(column(values[cut:]))
    assert parts.tolist() == bins.count(column(values)).tolist()


@given(labels, labels, st.sets(st.text(max_size=3), max_size=60))
def test_labels_are_counted_as_by_hand(reference: list[str | None], later: list[str | None], domain: set[str]) -> None:
    bins = label_bins(pl.Series(reference, dtype=pl.String), sorted(domain), top=5)
    known = {label for label in reference if label is not None} | domain
    counts = bins.count(pl.Series(later, dtype=pl.String))
    assert set(bins.labels) | set(bins.others) == known
    assert len(bins.labels) <= 5
    assert dict(zip(bins.labels, counts.tolist(), strict=False)) == {x: later.count(x) for x in bins.labels}
    assert counts[-3:].tolist() == [
        sum(label in bins.others for label in later),
        later.count(None),
        sum(label is not None and label not in known for label in later),
    ]


def test_a_continuous_reference_has_ten_bins_of_a_tenth() -> None:
    values = column(np.random.default_rng(1).normal(size=10_000).tolist())
    bins = quantile_bins(values)
    assert len(bins.edges) == 9
    assert bins.count(values).tolist() == [1_000] * 10 + [0, 0]


def test_a_constant_keeps_a_bin_to_itself() -> None:
    bins = quantile_bins(column([7.0] * 50))
    assert bins.count(column([7.0] * 3 + [6.999] * 5 + [7.001] * 2)).tolist() == [5, 3, 2, 0, 0]


def test_nothing_but_missing_has_one_bin_for_any_number() -> None:
    bins = quantile_bins(column([None, None]))
    assert bins.names == ["any number", "missing", "unseen"]
    assert bins.count(column([1.0, None, -1e308])).tolist() == [2, 1, 0]


def test_two_values_stay_apart() -> None:
    bins = quantile_bins(column([0.0] * 60 + [1.0] * 40))
    counts = bins.count(column([0.0] * 60 + [1.0] * 40)).tolist()
    assert sorted(counts)[-2:] == [40, 60]


def test_a_scaled_lognormal_scores_as_on_reference_deciles() -> None:
    """DESIGN: where Evidently's own PSI says 0.09, reference deciles say 0.22."""
    rng = np.random.default_rng(42)
    reference = column(rng.lognormal(0, 1, 50_000).tolist())
    bins = quantile_bins(reference)
    scaled = column((1.65 * rng.lognormal(0, 1, 50_000)).tolist())
    assert psi(bins.count(reference), bins.count(scaled)) == pytest.approx(0.22, abs=0.03)


def test_an_outlier_does_not_hide_a_shift() -> None:
    """DESIGN: a two-sigma shift with one 1e9 among the rows scores 3.28, where equal-width bins see 0.00007."""
    rng = np.random.default_rng(43)
    reference = column(rng.normal(size=50_000).tolist())
    bins = quantile_bins(reference)
    shifted = column([*(rng.normal(size=49_999) + 2), 1e9])
    assert psi(bins.count(reference), bins.count(shifted)) == pytest.approx(3.28, abs=0.15)


def test_the_fifty_most_frequent_labels_have_bins_of_their_own() -> None:
    values = pl.Series([f"v{place:03}" for place in range(120) for _ in range(200 - place)])
    bins = label_bins(values)
    assert bins.labels == tuple(f"v{place:03}" for place in range(50))
    assert len(bins.others) == 70
    assert bins.count(pl.Series(["v000", "v119", "nobody", None])).tolist()[-3:] == [1, 1, 1]


def test_names_say_what_bins_hold() -> None:
    assert NumericBins((1.0, 2.5)).names == ["up to 1", "1 to 2.5", "above 2.5", "missing", "unseen"]
    assert LabelBins(("a",), ("b",)).names == ["a", "other", "missing", "unseen"]
