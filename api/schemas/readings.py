"""Wire types of a deployment's metrics, as alert rules see them."""

import uuid
from datetime import datetime
from typing import get_args

import msgspec

from monitoring.rules import UNITS, Metric
from monitoring.store.readings import WindowReadings

METRICS: tuple[Metric, ...] = get_args(Metric)


class MetricView(msgspec.Struct, frozen=True):
    """One metric now. `value` is null when there is nothing to measure, and `detail` says why.

    `samples` are the rows, requests or labels it was measured on; null for `model_staleness`.
    """

    value: float | None
    samples: int | None
    unit: str
    detail: str


class MetricsAnswer(msgspec.Struct, frozen=True):
    """All six metrics over the window that ends now, and each feature's PSI."""

    deployment_id: uuid.UUID
    window_minutes: int
    window_start: datetime
    window_end: datetime
    metrics: dict[str, MetricView]
    features: dict[str, float | None]

    @classmethod
    def of(cls, deployment_id: uuid.UUID, window_minutes: int, readings: WindowReadings) -> "MetricsAnswer":
        """Return the answer for what was measured."""
        views: dict[str, MetricView] = {}
        for metric in METRICS:
            reading = readings.read(metric)
            views[metric] = MetricView(reading.value, reading.samples, UNITS[metric], reading.detail)
        window = readings.window
        return cls(deployment_id, window_minutes, window.start, window.end, views, readings.feature_psi())
