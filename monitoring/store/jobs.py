"""Background work asked for over HTTP, as last seen in Prefect; a job's id is the flow run's."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, select

from monitoring.store.errors import NotFound
from monitoring.store.tables import DriftResult, Job

DRIFT = "drift"
ENDED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True)
class Sighting:
    """What was seen of a job's flow run."""

    status: str
    error: str | None
    started_at: datetime | None
    finished_at: datetime | None


def add_job(session: Session, job: Job) -> Job:
    """Store a job that was just enqueued; one that is there already stays as it is."""
    known = session.get(Job, job.id)
    if known is not None:
        return known
    session.add(job)
    session.flush()
    return job


def find_job(session: Session, job_id: uuid.UUID) -> Job:
    """Return a job. Raises NotFound."""
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound("job", job_id)
    return job


def record_sighting(session: Session, job_id: uuid.UUID, seen: Sighting) -> Job:
    """Remember how a job's flow run stands; a job seen ended does not change again. Raises NotFound."""
    job = session.exec(select(Job).where(Job.id == job_id).with_for_update()).first()
    if job is None:
        raise NotFound("job", job_id)
    if job.status not in ENDED:
        job.status, job.error = seen.status, seen.error
        job.started_at, job.finished_at = seen.started_at, seen.finished_at
        session.add(job)
        session.flush()
    return job


def find_drift_result(session: Session, job_id: uuid.UUID) -> DriftResult | None:
    """Return the drift result that a job's flow run recorded, None when it recorded none (yet)."""
    return session.exec(select(DriftResult).where(DriftResult.flow_run_id == job_id)).first()
