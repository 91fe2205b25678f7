"""A deployment's metrics, measured now, as the alert rules' evaluation measures them."""

import uuid
from datetime import UTC, datetime
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from api.auth import Principal, requires
from api.schemas.readings import METRICS, MetricsAnswer
from monitoring.store.database import Database
from monitoring.store.deployments import find_deployment
from monitoring.store.readings import Wanted, measure
from monitoring.windows import MAX_WINDOW_MINUTES

WindowMinutes = Annotated[
    int, QueryParameter(ge=1, le=MAX_WINDOW_MINUTES, description="How many minutes back from now to look")
]


@get(
    "/api/mlops/deployments/{deployment_id:uuid}/metrics",
    operation_id="GetDeploymentMetrics",
    summary="Measure all six metrics now",
    tags=["alerts"],
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_deployment_metrics(
    deployment_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    window_minutes: WindowMinutes = 60,
) -> MetricsAnswer:
    """Return the six metrics of alert rules over the last `window_minutes`, and each feature's PSI."""
    with database.transaction() as session:
        found = find_deployment(session, deployment_id)
        principal.require_project(found.project_id, kind="deployment", identifier=deployment_id)
    wanted = Wanted(deployment_id, window_minutes, frozenset(METRICS))
    readings = measure(database, [wanted], datetime.now(UTC))
    return MetricsAnswer.of(deployment_id, window_minutes, readings[deployment_id, window_minutes])
