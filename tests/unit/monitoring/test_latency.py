"""The latency histogram: what it promises of quantiles and sums, against the sorted values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.latency import RELATIVE_ERROR, SMALLEST_MS, LatencyHistogram

latencies = st.lists(st.floats(SMALLEST_MS, 1e7), min_size=1, max_size=200)


@given(latencies, st.floats(0.001, 1))
def test_a_quantile_is_within_the_stated_error_of_the_value_of_that_rank(values: list[float], share: float) -> None:
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert LatencyHistogram.of(values).quantile(share) == pytest.approx(exact, rel=RELATIVE_ERROR * 1.0001)


@given(latencies, latencies)
def test_sums_of_histograms_are_histograms_of_both(first: list[float], second: list[float]) -> None:
    both = LatencyHistogram.of(first) + LatencyHistogram.of(second)
    assert both == LatencyHistogram.of(first + second)
    assert both.requests == len(first) + len(second)


@given(st.lists(st.floats(0, 1e7), max_size=50))
def test_it_survives_being_stored(values: list[float]) -> None:
    histogram = LatencyHistogram.of(values)
    assert LatencyHistogram.from_bytes(histogram.to_bytes()) == histogram


def test_no_requests_have_no_quantile() -> None:
    assert LatencyHistogram().quantile(0.99) is None
    assert LatencyHistogram.from_bytes(b"") == LatencyHistogram()


def test_what_is_no_histogram_is_refused() -> None:
    with pytest.raises(ValueError, match="buffer size"):
        LatencyHistogram.from_bytes(b"12345")
