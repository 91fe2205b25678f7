"""What is measured of a deployment for its alert rules, part by part, and read metric by metric."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from monitoring import metrics
from monitoring.counts import WindowCounts
from monitoring.measurement import DriftMeasurement
from monitoring.metrics import LabelCounts, RequestCounts
from monitoring.profile import Baseline, Profile
from monitoring.rules import Metric, Reading
from monitoring.windows import Window

NOT_WANTED = Reading(None, None, "not measured: it was not asked for")
T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """Which metrics of a deployment over which trailing window (1 to 44,640 minutes)."""

    deployment_id: uuid.UUID
    window_minutes: int
    metrics: frozenset[Metric]


@dataclass(frozen=True)
class Subject:
    """A deployment, as far as its metrics need it."""

    model_id: uuid.UUID
    trained_at: datetime | None
    baseline: Baseline | None


@dataclass(frozen=True)
class LogMeasured:
    """A window's rows against their profile; `drift` is not measured when only predictions were counted."""

    profile: Profile
    counts: WindowCounts
    drift: DriftMeasurement | Reading


@dataclass(frozen=True)
class WindowReadings:
    """What was measured of one deployment over one window; a part that could not be read is a Reading that says why."""

    window: Window
    subject: Subject | Reading
    requests: RequestCounts | Reading = NOT_WANTED
    labels: LabelCounts | Reading = NOT_WANTED
    log: LogMeasured | Reading = NOT_WANTED

    def read(self, metric: Metric, feature: str | None = None) -> Reading:
        """Return one metric; one that could not be measured has neither value nor samples, and `detail` says why."""
        readers: dict[Metric, Callable[[], Reading]] = {
            "drift_psi": lambda: _given(self._drift, lambda drift: metrics.drift_psi(drift, feature)),
            "prediction_anomaly": lambda: _given(
                self.log, lambda log: metrics.prediction_anomaly(log.profile, log.counts)
            ),
            "error_rate": lambda: _given(self.requests, metrics.error_rate),
            "latency_p99": lambda: _given(self.requests, metrics.latency_p99),
            "model_staleness": lambda: _given(
                self.subject, lambda of: metrics.model_staleness(of.trained_at, self.window.end)
            ),
            "accuracy_degradation": lambda: _given(self.subject, self._degradation),
        }
        return self.subject if isinstance(self.subject, Reading) else readers[metric]()

    def feature_psi(self) -> dict[str, float | None]:
        """Return each feature's PSI, None without rows; empty when drift was not measured."""
        drift = self._drift
        return {} if isinstance(drift, Reading) else {name: one.psi for name, one in drift.features.items()}

    @property
    def _drift(self) -> DriftMeasurement | Reading:
        return self.log if isinstance(self.log, Reading) else self.log.drift

    def _degradation(self, subject: Subject) -> Reading:
        return _given(self.labels, lambda labels: metrics.accuracy_degradation(subject.baseline, labels))


def _given(part: T | Reading, metric: Callable[[T], Reading]) -> Reading:
    return part if isinstance(part, Reading) else metric(part)
