"""The six metrics that alert rules watch, each a pure function from counts to a Reading, with definition and source."""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from monitoring.counts import WindowCounts
from monitoring.latency import LatencyHistogram
from monitoring.measurement import DriftMeasurement
from monitoring.profile import Baseline, Profile
from monitoring.psi import critical_value
from monitoring.rules import Reading

NO_ROWS = "no answered prediction in the window"
NO_INPUTS = "no answered prediction with inputs in the window"
NO_REQUESTS = "no request was logged in the window"
NO_LABELS = "no prediction of the window has a label yet"
NO_BASELINE = "the model has no baseline: its reference came without the target"
NO_TRAINING_TIME = "the model was imported without `trained_at`"


@dataclass(frozen=True)
class RequestCounts:
    """A window's requests: how many, how many answered with status >= 400, and their latencies."""

    requests: int = 0
    failed: int = 0
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)

    def __add__(self, other: "RequestCounts") -> "RequestCounts":
        """Return the counts of both."""
        return RequestCounts(self.requests + other.requests, self.failed + other.failed, self.latency + other.latency)


@dataclass(frozen=True)
class LabelCounts:
    """A window's labelled predictions: how many, how many were right (classification), summed squared errors."""

    labels: int
    correct: int
    squared_error: float

    def __add__(self, other: "LabelCounts") -> "LabelCounts":
        """Return the counts of both."""
        return LabelCounts(
            self.labels + other.labels, self.correct + other.correct, self.squared_error + other.squared_error
        )

    def achieved(self, baseline_metric: str) -> float | None:
        """Return accuracy (0-1) or RMSE, whichever the baseline is; None without labels."""
        if self.labels == 0:
            return None
        return self.correct / self.labels if baseline_metric == "accuracy" else math.sqrt(self.mean_squared_error)

    @property
    def mean_squared_error(self) -> float:
        """The mean of the squared errors; only with labels."""
        return self.squared_error / self.labels


def drift_psi(measurement: DriftMeasurement, feature: str | None = None) -> Reading:
    """Return the largest PSI among the features, or that of `feature`. Unit: PSI, 0 and up. Samples: rows with inputs.

    The population stability index over the reference's frozen bins, as in a drift result (`psi.psi`: Jeffreys 1946,
    Siddiqi 2006). The detail gives the value that 99 % of windows without drift stay below (Yurdakul 2018).
    """
    if feature is not None and feature not in measurement.features:
        return Reading(None, None, f"the model has no feature {feature!r}")
    names = measurement.features if feature is None else [feature]
    measured = {name: psi for name in names if (psi := measurement.features[name].psi) is not None}
    if not measured:
        return Reading(None, measurement.inference_rows, NO_INPUTS if measurement.features else "no features")
    top = max(measured, key=lambda name: measured[name])
    usual = measurement.features[top].critical_value or 0.0
    detail = f"PSI of {top}; without drift below {usual:.4g} in 99 % of windows"
    return Reading(measured[top], measurement.inference_rows, detail)


def prediction_anomaly(profile: Profile, counts: WindowCounts) -> Reading:
    """Return the Jensen-Shannon distance between the reference's predictions and the window's. Unit: 0 to 1.

    The square root of the divergence in base 2 (Lin 1991; a metric: Endres and Schindelin 2003), over the shares of
    labels in classification, of score bins in regression. Samples: answered rows, stored with inputs or not. Two
    samples of one population lie, for many rows, below sqrt(c / (8 ln 2)) in 99 % of cases, c being PSI's critical
    value: near equality PSI is 8 times the divergence in nats.
    """
    rows = int(counts.answers.sum())
    if rows == 0:
        return Reading(None, 0, NO_ROWS)
    expected = np.asarray(profile.answers.expected, dtype=np.int64)
    reached = int(np.count_nonzero(expected + counts.answers))
    usual = math.sqrt(critical_value(int(expected.sum()), rows, reached) / (8 * math.log(2)))
    distance = js_distance(expected / expected.sum(), counts.answers / rows)
    return Reading(distance, rows, f"without a change below {usual:.4g} in 99 % of windows")


def js_distance(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Return the Jensen-Shannon distance, 0 to 1, of two distributions over the same bins (shares that sum to 1)."""
    middle = (left + right) / 2
    divergence = (_divergence_bits(left, middle) + _divergence_bits(right, middle)) / 2
    return math.sqrt(min(1.0, max(0.0, divergence)))


def _divergence_bits(shares: NDArray[np.float64], middle: NDArray[np.float64]) -> float:
    held = shares > 0
    return float(np.sum(shares[held] * np.log2(shares[held] / middle[held])))


def error_rate(counts: RequestCounts) -> Reading:
    """Return the share of logged requests answered with status >= 400. Unit: percent, 0 to 100. Samples: requests.

    A batch is one request. The E of the RED method (Wilkie 2015); which requests are logged: see the README.
    """
    if counts.requests == 0:
        return Reading(None, 0, NO_REQUESTS)
    detail = f"{counts.failed:,} of {counts.requests:,} requests failed"
    return Reading(100.0 * counts.failed / counts.requests, counts.requests, detail)


def latency_p99(counts: RequestCounts) -> Reading:
    """Return the 99th percentile of the latencies of all logged requests. Unit: milliseconds. Samples: requests.

    The latency of nearest rank (definition 1 of Hyndman and Fan 1996), out of a histogram: within 1 % of the exact one
    (`latency.RELATIVE_ERROR`). A batch is one request; its latency is the whole batch's.
    """
    p99_ms = counts.latency.quantile(0.99)
    if counts.requests == 0 or p99_ms is None:
        return Reading(None, 0, NO_REQUESTS)
    return Reading(p99_ms, counts.requests, f"p99 of {counts.requests:,} requests, within 1 %")


def model_staleness(trained_at: datetime | None, now: datetime) -> Reading:
    """Return the age of the model since it was trained. Unit: days of 24 hours, 0 and up. No samples."""
    if trained_at is None:
        return Reading(None, None, NO_TRAINING_TIME)
    return Reading(max(0.0, (now - trained_at) / timedelta(days=1)), None, f"trained at {trained_at:%Y-%m-%d %H:%M}Z")


def accuracy_degradation(baseline: Baseline | None, labelled: LabelCounts) -> Reading:
    """Return how much worse the window's labelled predictions are than the model's baseline. Samples: labels.

    Classification: baseline accuracy minus the window's; unit: points of 0 to 1 (0.05 is five percentage points).
    Regression: (RMSE - baseline RMSE) / baseline RMSE; unit: a ratio (0.2 is 20 % more error). Below 0: better than the
    baseline. The window is that of the predictions, whenever their labels came.
    """
    if baseline is None:
        return Reading(None, None, NO_BASELINE)
    achieved = labelled.achieved(baseline.metric)
    if achieved is None:
        return Reading(None, 0, NO_LABELS)
    if baseline.metric == "accuracy":
        detail = f"accuracy {achieved:.4g}, baseline {baseline.value:.4g}"
        return Reading(baseline.value - achieved, labelled.labels, detail)
    return _rmse_increase(baseline.value, achieved, labelled.labels)


def _rmse_increase(before: float, achieved: float, labels: int) -> Reading:
    if achieved == before:
        return Reading(0.0, labels, f"RMSE {achieved:.4g} as the baseline")
    increase = (achieved - before) / before if before > 0 else math.inf
    if not math.isfinite(increase):
        return Reading(None, None, f"RMSE {achieved:.4g} has no ratio to a baseline of {before:.4g}")
    return Reading(increase, labels, f"RMSE {achieved:.4g}, baseline {before:.4g}")
