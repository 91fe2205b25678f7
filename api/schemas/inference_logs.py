"""Wire types of the inference log."""

import uuid
from datetime import datetime
from typing import cast

import msgspec

from api.schemas.common import JsonObject
from monitoring.store.inference_logs import LogRow


class RowPrivacy(msgspec.Struct, frozen=True):
    """Which version of a rule set masked a row's inputs; `error` says why it could not: then there are no inputs."""

    version_id: uuid.UUID
    error: str | None


class InferenceLogView(msgspec.Struct, frozen=True):
    """One logged input row. `prediction` is the label, in regression the value; null when the request failed.

    `privacy` is null when nothing masked the row.
    """

    id: uuid.UUID
    deployment_id: uuid.UUID
    request_id: uuid.UUID
    inputs: JsonObject | None
    prediction: str | float | None
    score: float | None
    probabilities: list[float] | None
    latency_ms: float
    status_code: int
    error: str | None
    created_at: datetime
    privacy: RowPrivacy | None

    @classmethod
    def of(cls, row: LogRow) -> "InferenceLogView":
        """Return the view of a stored row; its inputs pass through as the text they are."""
        return cls(
            id=row.id,
            deployment_id=row.deployment_id,
            request_id=row.request_id,
            inputs=None if row.inputs is None else cast("JsonObject", msgspec.Raw(row.inputs)),
            prediction=row.score if row.prediction is None else row.prediction,
            score=row.score,
            probabilities=row.probabilities,
            latency_ms=row.latency_ms,
            status_code=row.status_code,
            error=row.error,
            created_at=row.created_at,
            privacy=None if row.privacy_version_id is None else RowPrivacy(row.privacy_version_id, row.privacy_error),
        )


class InferenceLogPage(msgspec.Struct, frozen=True):
    """A page of the log, newest first."""

    items: list[InferenceLogView]
    total: int
    limit: int
    offset: int
