"""Wire types of drift: a run asked for, and what was measured."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from monitoring.significance import is_drifted
from monitoring.store.tables import DriftResult
from monitoring.windows import DEFAULT_WINDOW_MINUTES, MAX_WINDOW_MINUTES

DriftStatus = Literal["pending", "insufficient_data", "low", "moderate", "high"]


class DriftRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A drift measurement to make now, over the window that ends now."""

    window_minutes: Annotated[int, Meta(ge=1, le=MAX_WINDOW_MINUTES)] = DEFAULT_WINDOW_MINUTES


class DriftRunStarted(msgspec.Struct, frozen=True):
    """The measurement is enqueued; follow it at `/api/jobs/{job_id}`."""

    ok: bool
    job_id: uuid.UUID


class LabelShare(msgspec.Struct, frozen=True):
    """The share (of 1) of a label among the reference's predictions and the window's."""

    expected: float | None
    actual: float | None


class FeatureDrift(msgspec.Struct, frozen=True):
    """One feature's drift; `critical_value` is what PSI stays below in 99 % of windows without drift.

    `p_value` is how often a window without drift differs so much; `q_value` corrects it for the number of features.
    `masked_share`, where there is one, is of the rows whose value was masked; with more than 1 % of masked known labels
    a categorical feature is measured by whether its values are known, missing or unseen.
    """

    psi: float | None
    status: DriftStatus
    critical_value: float | None = None
    missing_share: float | None = None
    unseen_share: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    importance: float | None = None
    masked_share: float | UnsetType = UNSET


class PredictionDrift(msgspec.Struct, frozen=True):
    """The drift of the model's answers, with the shares of labels in classification."""

    psi: float | None
    status: DriftStatus
    critical_value: float | None = None
    missing_share: float | None = None
    unseen_share: float | None = None
    p_value: float | None = None
    labels: dict[str, LabelShare] | None = None


class DriftResultView(msgspec.Struct, frozen=True):
    """One measurement of a window.

    `weighted_psi` weights the features by importance, null without importances. `drifted_features` have a `q_value`
    below 0.05.
    """

    overall_status: DriftStatus
    overall_psi: float | None
    weighted_psi: float | None
    drifted_features: list[str]
    features: dict[str, FeatureDrift]
    prediction: PredictionDrift | None
    inference_rows: int
    window_start: datetime | None
    window_end: datetime | None
    computed_at: datetime | None

    @classmethod
    def of(cls, row: DriftResult) -> "DriftResultView":
        """Return the view of a stored result."""
        features = msgspec.convert(row.features, dict[str, FeatureDrift])
        return cls(
            overall_status=msgspec.convert(row.overall_status, DriftStatus),
            overall_psi=row.overall_psi,
            weighted_psi=row.weighted_psi,
            drifted_features=[name for name, drift in features.items() if is_drifted(drift.status, drift.q_value)],
            features=features,
            prediction=msgspec.convert(row.prediction, PredictionDrift | None),
            inference_rows=row.inference_rows,
            window_start=row.window_start,
            window_end=row.window_end,
            computed_at=row.computed_at,
        )


_PENDING = DriftResultView(
    overall_status="pending",
    overall_psi=None,
    weighted_psi=None,
    drifted_features=[],
    features={},
    prediction=None,
    inference_rows=0,
    window_start=None,
    window_end=None,
    computed_at=None,
)


class DriftAnswer(msgspec.Struct, frozen=True):
    """A deployment's newest measurement (`pending` before the first), and with `?history=n` its newest n."""

    deployment_id: uuid.UUID
    overall_status: DriftStatus
    overall_psi: float | None
    weighted_psi: float | None
    drifted_features: list[str]
    features: dict[str, FeatureDrift]
    prediction: PredictionDrift | None
    inference_rows: int
    window_start: datetime | None
    window_end: datetime | None
    computed_at: datetime | None
    history: list[DriftResultView] | UnsetType = UNSET

    @classmethod
    def of(cls, deployment_id: uuid.UUID, rows: list[DriftResult], *, with_history: bool) -> "DriftAnswer":
        """Return the answer for a deployment's results, newest first."""
        views = [DriftResultView.of(row) for row in rows]
        newest = msgspec.structs.asdict(views[0] if views else _PENDING)
        return cls(deployment_id, **newest, history=views if with_history else UNSET)
