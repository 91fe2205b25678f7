"""Background jobs: followed to their end, whatever becomes of Prefect meanwhile."""

import uuid

from litestar import get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.auth import Principal, requires
from api.errors import Unavailable
from api.prefect_api import FlowRunUnknown, PrefectApi, PrefectUnreachable, RunState
from api.schemas.jobs import JobAnswer, JobCancelled, JobView
from api.settings import Settings
from monitoring.store import jobs
from monitoring.store.database import Database
from monitoring.store.errors import Conflict
from monitoring.store.tables import Job

_AWAY = "Prefect does not answer just now: this is the status last seen"
_FORGOTTEN = "Prefect no longer knows this flow run: it was removed before it was seen to end"


@get(
    "/api/jobs/{job_id:uuid}",
    operation_id="GetJob",
    summary="Follow a job",
    tags=["jobs"],
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_job(
    job_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    prefect_api: NamedDependency[PrefectApi],
    state: State,
) -> JobAnswer:
    """Return how a job stands. While Prefect is away: the status last seen, with a `note` that says so."""
    with database.transaction() as session:
        row = jobs.find_job(session, job_id)
    principal.require_project(row.project_id, kind="job", identifier=job_id)
    progress, note = None, None
    if row.status not in jobs.ENDED:
        try:
            row, progress = _look(database, prefect_api, row)
        except PrefectUnreachable:
            note = _AWAY
    with database.transaction() as session:
        result = jobs.find_drift_result(session, job_id) if row.status == "succeeded" else None
    settings: Settings = state.settings
    url = f"{settings.prefect_address}/runs/flow-run/{job_id}"
    return JobAnswer(JobView.of(row, prefect_url=url, progress=progress, result=result, note=note))


@post(
    "/api/jobs/{job_id:uuid}/cancel",
    operation_id="CancelJob",
    summary="Cancel a job",
    tags=["jobs"],
    guards=[requires("write")],
    sync_to_thread=True,
    status_code=200,
)
def cancel_job(
    job_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    prefect_api: NamedDependency[PrefectApi],
) -> JobCancelled:
    """Cancel a job that has not ended; its process is stopped."""
    with database.transaction() as session:
        row = jobs.find_job(session, job_id)
    principal.require_project(row.project_id, kind="job", identifier=job_id)
    try:
        cancelled = row.status not in jobs.ENDED and prefect_api.cancel(job_id)
        if not cancelled:
            row, _ = _look(database, prefect_api, row)
    except FlowRunUnknown as error:
        raise Conflict(_FORGOTTEN) from error
    except PrefectUnreachable as error:
        raise Unavailable("Prefect, which runs the jobs, does not answer just now") from error
    if not cancelled:
        raise Conflict(f"The job has ended already ({row.status})")
    return JobCancelled(ok=True, job_id=job_id)


def _look(database: Database, prefect_api: PrefectApi, row: Job) -> tuple[Job, float | None]:
    """Ask Prefect about a job and remember the answer. Raises PrefectUnreachable."""
    try:
        run = prefect_api.run_state(row.id)
    except FlowRunUnknown:
        run = RunState("failed", _FORGOTTEN, row.started_at, None, None)
    error = run.message if run.status in {"failed", "cancelled"} else None
    seen = jobs.Sighting(run.status, error, run.started_at, run.finished_at)
    with database.transaction() as session:
        return jobs.record_sighting(session, row.id, seen), run.progress
