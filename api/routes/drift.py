"""Drift of a deployment: measured on request, read with its history, drawn by Evidently."""

import uuid
from typing import Annotated

from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from api.auth import Principal, requires
from api.errors import Unavailable
from api.idempotency import Once
from api.prefect_api import FlowDeploymentMissing, PrefectApi, PrefectUnreachable
from api.schemas.drift import DriftAnswer, DriftRun, DriftRunStarted
from monitoring.store import jobs
from monitoring.store.database import Database
from monitoring.store.drift_results import read_report, result_history
from monitoring.store.drift_subjects import DriftSubject, find_drift_subject
from monitoring.store.errors import Conflict, NotFound
from monitoring.store.tables import Job

# The report is one file with its scripts and pictures inside. The sandbox gives it an origin of its own, so a feature
# name that became markup could reach neither this API nor the network.
REPORT_HEADERS = {
    "Content-Security-Policy": (
        "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; "
        "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; worker-src blob:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

History = Annotated[int | None, QueryParameter(ge=1, le=500, description="Also return the newest n measurements")]


@post(
    "/api/mlops/deployments/{deployment_id:uuid}/drift/run",
    operation_id="RunDrift",
    summary="Measure drift now",
    tags=["drift"],
    guards=[requires("write")],
    sync_to_thread=True,
    status_code=200,
)
def run_drift(
    deployment_id: FromPath[uuid.UUID],
    data: JSONBody[DriftRun],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    prefect_api: NamedDependency[PrefectApi],
    once: NamedDependency[Once],
) -> DriftRunStarted:
    """Enqueue a measurement over the last `window_minutes` (1440); an inactive deployment's past counts too."""
    with once.claim(data) as claim:
        subject = _find_subject(database, principal, deployment_id)
        if subject.status == "failed":
            raise Conflict("This deployment could not load its model and never served: there is nothing to measure")
        job_id = _enqueue(prefect_api, subject, data.window_minutes)
        answer = DriftRunStarted(ok=True, job_id=job_id)
        with database.transaction() as session:
            job = Job(id=job_id, kind=jobs.DRIFT, project_id=subject.project_id, deployment_id=deployment_id)
            jobs.add_job(session, job)
            claim.keep(session, answer, status_code=200)
    return answer


@get(
    "/api/mlops/deployments/{deployment_id:uuid}/drift",
    operation_id="GetDrift",
    summary="Get drift",
    tags=["drift"],
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_drift(
    deployment_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    history: History = None,
) -> DriftAnswer:
    """Return the newest measurement, `pending` before the first; `?history=n` adds the newest n."""
    _find_subject(database, principal, deployment_id)
    with database.transaction() as session:
        rows = result_history(session, deployment_id, history or 1)
    return DriftAnswer.of(deployment_id, rows, with_history=history is not None)


@get(
    "/api/mlops/deployments/{deployment_id:uuid}/drift/report",
    operation_id="GetDriftReport",
    summary="Get Evidently's report",
    tags=["drift"],
    guards=[requires("read")],
    sync_to_thread=True,
    media_type=MediaType.HTML,
)
def get_drift_report(
    deployment_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> Response[str]:
    """Return the HTML of the newest measurement that was drawn."""
    _find_subject(database, principal, deployment_id)
    with database.transaction() as session:
        html = read_report(session, deployment_id)
    if html is None:
        raise NotFound("drift report of deployment", deployment_id)
    return Response(html, media_type=MediaType.HTML, headers=REPORT_HEADERS)


def _find_subject(database: Database, principal: Principal, deployment_id: uuid.UUID) -> DriftSubject:
    with database.transaction() as session:
        subject = find_drift_subject(session, deployment_id)
    principal.require_project(subject.project_id, kind="deployment", identifier=deployment_id)
    return subject


def _enqueue(prefect_api: PrefectApi, subject: DriftSubject, window_minutes: int) -> uuid.UUID:
    parameters = {"deployment_id": str(subject.deployment_id), "window_minutes": window_minutes}
    try:
        return prefect_api.start_run("drift", "drift", parameters, str(uuid.uuid4()), name=f"drift of {subject.name}")
    except PrefectUnreachable as error:
        raise Unavailable("Prefect, which runs the measurement, does not answer just now") from error
    except FlowDeploymentMissing as error:
        raise Unavailable(
            "Prefect does not know the flow deployment drift/drift yet: run `prefect deploy --all`", retry_after_s=15
        ) from error
