"""The six metrics against their definitions, and where they have one, against another's implementation."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from monitoring.counts import WindowCounts, count_batch, count_window
from monitoring.latency import LatencyHistogram
from monitoring.measurement import measure
from monitoring.metrics import (
    LabelCounts,
    RequestCounts,
    accuracy_degradation,
    drift_psi,
    error_rate,
    js_distance,
    latency_p99,
    model_staleness,
    prediction_anomaly,
)
from monitoring.payloads import LogBatch
from monitoring.profile import Baseline, Binned, Predictions, Profile, build_profile
from monitoring.rules import Reading
from tests.drift_material import PlainFeature

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
FEATURES = [PlainFeature("size", "numeric"), PlainFeature("city", "categorical", ("Delft", "Evora"))]
bins = st.lists(st.integers(0, 1_000), min_size=2, max_size=12).filter(any)


def classifier() -> Profile:
    reference = pl.DataFrame({"size": np.linspace(0, 1, 400), "city": ["Delft", "Evora"] * 200})
    return build_profile(reference, FEATURES, Predictions("Binomial", [0.5] * 400, ["no", "yes"] * 200, ("no", "yes")))


def batch(rows: int, *, size: float = 0.5, label: str = "no", score: float = 0.5, bare: int = 0) -> LogBatch:
    def answers(count: int) -> pl.DataFrame:
        return pl.DataFrame(
            {"prediction": [label] * count, "score": [score] * count, "draw": range(count)},
            schema={"prediction": pl.String, "score": pl.Float64, "draw": pl.Int64},
        )

    inputs = pl.DataFrame(
        {"size": [size] * rows, "city": ["Delft"] * rows}, schema={"size": pl.Float64, "city": pl.String}
    )
    return LogBatch(inputs, answers(rows), bare, answers(bare))


def shares(counts: list[int]) -> np.ndarray:
    return np.asarray(counts, dtype=np.float64) / sum(counts)


@given(st.data(), bins)
def test_the_distance_is_scipys_and_a_metric(data: st.DataObject, left: list[int]) -> None:
    same_length = st.lists(st.integers(0, 1_000), min_size=len(left), max_size=len(left)).filter(any)
    a, b, c = shares(left), shares(data.draw(same_length)), shares(data.draw(same_length))

    distance = js_distance(a, b)

    assert distance == pytest.approx(float(np.nan_to_num(jensenshannon(a, b, base=2))), abs=1e-7)
    assert 0 <= distance <= 1
    assert distance == js_distance(b, a)
    assert js_distance(a, a) == 0
    assert js_distance(a, c) <= distance + js_distance(b, c) + 1e-7


def test_answers_the_reference_never_gave_are_at_distance_one() -> None:
    reading = prediction_anomaly(classifier(), count_batch(classifier(), batch(50, label="maybe")))
    assert (reading.value, reading.samples) == (1.0, 50)


def test_one_in_a_hundred_windows_without_a_change_passes_the_bound_in_the_detail() -> None:
    profile = classifier()
    assert profile.labels is not None
    nothing = WindowCounts.empty(profile)
    rng = np.random.default_rng(7)
    above, rounds = 0, 10_000
    for _ in range(rounds):
        before, now = rng.binomial(2_000, 0.3), rng.binomial(500, 0.3)
        labels = Binned(profile.labels.bins, (2_000 - before, before, 0, 0, 0))
        counts = replace(nothing, answers=np.array([500 - now, now, 0, 0, 0]))
        reading = prediction_anomaly(replace(profile, labels=labels), counts)
        assert reading.value is not None
        above += reading.value > float(reading.detail.split()[4])
    assert 0.006 < above / rounds < 0.014


def test_an_anomaly_counts_rows_stored_without_inputs_and_drift_does_not() -> None:
    profile = classifier()
    counts = count_window(profile, [batch(60, label="no", bare=100), batch(40, label="yes")])

    assert counts.answers.sum() == 200
    assert prediction_anomaly(profile, counts).samples == 200
    assert drift_psi(measure(profile, counts)).samples == 100


def test_a_regressions_anomaly_is_over_its_score_bins() -> None:
    scores = np.linspace(0, 1, 1_000)
    reference = pl.DataFrame({"size": scores, "city": ["Delft"] * 1_000})
    profile = build_profile(reference, FEATURES, Predictions("Regression", scores))

    outside = prediction_anomaly(profile, count_batch(profile, batch(100, score=7.0)))

    tenth = np.zeros(10)
    tenth[9] = 1
    assert outside.value == pytest.approx(float(jensenshannon(np.full(10, 0.1), tenth, base=2)))


def test_drift_is_the_largest_feature_or_the_one_asked_for() -> None:
    profile = classifier()
    measurement = measure(profile, count_window(profile, [batch(200, size=9.0)]))
    psi = {name: drift.psi for name, drift in measurement.features.items()}

    assert drift_psi(measurement).value == max(value for value in psi.values() if value is not None)
    assert "PSI of size" in drift_psi(measurement).detail
    assert drift_psi(measurement, "city").value == psi["city"]
    assert drift_psi(measurement, "age") == Reading(None, None, "the model has no feature 'age'")


def test_an_empty_window_has_no_values() -> None:
    profile = classifier()
    empty = WindowCounts.empty(profile)
    readings = [
        drift_psi(measure(profile, empty)),
        drift_psi(measure(profile, empty), "city"),
        prediction_anomaly(profile, empty),
        error_rate(RequestCounts()),
        latency_p99(RequestCounts()),
        accuracy_degradation(Baseline("accuracy", 0.9, 100), LabelCounts(0, 0, 0.0)),
    ]
    assert [(reading.value, reading.samples) for reading in readings] == [(None, 0)] * 6
    assert all(reading.detail for reading in readings)


@given(st.integers(1, 10**9), st.data())
def test_the_error_rate_is_percent(requests: int, data: st.DataObject) -> None:
    failed = data.draw(st.integers(0, requests))
    reading = error_rate(RequestCounts(requests, failed))
    assert reading.samples == requests
    assert reading.value == pytest.approx(failed / requests * 100)


def test_latency_is_in_milliseconds_over_requests() -> None:
    latencies = [float(place) for place in range(1, 201)]
    reading = latency_p99(RequestCounts(200, 0, LatencyHistogram.of(latencies)))
    assert reading == Reading(pytest.approx(198.0, rel=0.01), 200, "p99 of 200 requests, within 1 %")


def test_staleness_is_in_days_and_never_below_zero() -> None:
    assert model_staleness(NOW - timedelta(days=3, hours=12), NOW).value == 3.5
    assert model_staleness(NOW + timedelta(days=1), NOW).value == 0.0
    assert model_staleness(None, NOW).value is None
    assert model_staleness(NOW, NOW).samples is None


@given(st.integers(1, 10**6), st.floats(0, 1), st.data())
def test_accuracy_is_lost_in_points(labels: int, baseline: float, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, labels))
    reading = accuracy_degradation(Baseline("accuracy", baseline, 100), LabelCounts(labels, correct, 0.0))
    assert reading.value == pytest.approx(baseline - correct / labels)
    assert reading.samples == labels


def test_rmse_rises_as_a_ratio() -> None:
    baseline = Baseline("rmse", 2.0, 100)
    assert accuracy_degradation(baseline, LabelCounts(4, 0, 36.0)).value == 0.5
    assert accuracy_degradation(baseline, LabelCounts(4, 0, 4.0)).value == -0.5
    perfect = Baseline("rmse", 0.0, 100)
    assert accuracy_degradation(perfect, LabelCounts(4, 0, 0.0)).value == 0.0
    assert accuracy_degradation(perfect, LabelCounts(4, 0, 1.0)).value is None
    assert "no ratio" in accuracy_degradation(perfect, LabelCounts(4, 0, 1.0)).detail
    assert accuracy_degradation(None, LabelCounts(4, 0, 1.0)).value is None


@given(st.floats(0, 1e280), st.floats(0, 1e150), st.integers(1, 10**6))
def test_no_errors_make_a_value_that_is_not_finite(squared_error: float, baseline: float, labels: int) -> None:
    reading = accuracy_degradation(Baseline("rmse", baseline, 100), LabelCounts(labels, 0, squared_error))
    assert reading.value is None or math.isfinite(reading.value)
