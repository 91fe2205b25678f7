"""Wire types of background jobs."""

import uuid
from datetime import datetime

import msgspec

from api.prefect_api import JobStatus
from api.schemas.drift import DriftResultView
from monitoring.store.tables import DriftResult, Job


class JobView(msgspec.Struct, frozen=True):
    """A job: a Prefect flow run that was asked for over HTTP. `progress` is 0 to 1 where it is known."""

    id: uuid.UUID
    kind: str
    status: JobStatus
    progress: float | None
    error: str | None
    result: DriftResultView | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    prefect_url: str
    note: str | None = None

    @classmethod
    def of(
        cls, row: Job, *, prefect_url: str, progress: float | None, result: DriftResult | None, note: str | None
    ) -> "JobView":
        """Return the view of a stored job."""
        return cls(
            id=row.id,
            kind=row.kind,
            status=msgspec.convert(row.status, JobStatus),
            progress=1.0 if row.status == "succeeded" else progress,
            error=row.error,
            result=None if result is None else DriftResultView.of(result),
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            prefect_url=prefect_url,
            note=note,
        )


class JobAnswer(msgspec.Struct, frozen=True):
    """One job."""

    job: JobView


class JobCancelled(msgspec.Struct, frozen=True):
    """The cancellation was passed on; the job's status follows when its process has ended."""

    ok: bool
    job_id: uuid.UUID
