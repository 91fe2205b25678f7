"""Wire types of feedback: what really came of predictions, and how good they were."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from api.schemas.common import AwareTime
from monitoring.store.performance import Pair, Performance
from monitoring.windows import Window

MAX_ITEMS = 10_000


class FeedbackItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The actual value of one prediction: one of the model's labels, in regression a number."""

    inference_id: uuid.UUID
    actual: str | int | float | bool
    observed_at: AwareTime | None = None


class FeedbackSent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 10,000 actual values, in any order, however late."""

    items: Annotated[list[FeedbackItem], Meta(min_length=1, max_length=MAX_ITEMS)]


class FeedbackAnswer(msgspec.Struct, frozen=True):
    """How many items were kept; `unknown` are the ids of no answered prediction of this deployment."""

    accepted: int
    unknown: list[uuid.UUID]


class ConfusionCell(msgspec.Struct, frozen=True):
    """How many predictions said `predicted` where it was `actual`."""

    actual: str
    predicted: str | None
    predictions: int


class PerformanceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How good the predictions made in the window were, as far as their actual values have come.

    `degradation` is the metric `accuracy_degradation`; `confusion` the most frequent pairs, null in regression.
    """

    deployment_id: uuid.UUID
    window_minutes: int
    window_start: datetime
    window_end: datetime
    metric: Literal["accuracy", "rmse"]
    labels: int
    accuracy: float | None
    rmse: float | None
    baseline: float | None
    baseline_rows: int | None
    degradation: float | None
    detail: str
    confusion: list[ConfusionCell] | None

    @classmethod
    def of(
        cls, deployment_id: uuid.UUID, window_minutes: int, window: Window, performance: Performance
    ) -> "PerformanceAnswer":
        """Return the answer for what the labels say."""
        achieved, baseline = performance.achieved, performance.baseline
        return cls(
            deployment_id=deployment_id,
            window_minutes=window_minutes,
            window_start=window.start,
            window_end=window.end,
            metric=performance.metric,
            labels=performance.labelled.labels,
            accuracy=achieved if performance.metric == "accuracy" else None,
            rmse=achieved if performance.metric == "rmse" else None,
            baseline=None if baseline is None else baseline.value,
            baseline_rows=None if baseline is None else baseline.rows,
            degradation=performance.degradation.value,
            detail=performance.degradation.detail,
            confusion=None if performance.pairs is None else [_cell(pair) for pair in performance.pairs],
        )


def _cell(pair: Pair) -> ConfusionCell:
    return ConfusionCell(pair.actual, pair.predicted, pair.predictions)
