"""Whether the process lives, and whether it can serve predictions."""

from collections.abc import Mapping

from litestar import Response, get
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec

from api.health import Check, examine
from api.schemas.health import Health, Liveness


@get("/health/live", operation_id="GetLiveness", summary="Does it live?", tags=["health"])
async def get_liveness() -> Liveness:
    """Answer as long as the process runs."""
    return Liveness()


@get(
    "/health/ready",
    operation_id="GetReadiness",
    summary="Can it serve predictions?",
    tags=["health"],
    responses={503: ResponseSpec(Health, generate_examples=False, description="Not now; `parts` says why")},
)
async def get_readiness(state: State) -> Response[Health]:
    """Answer 200 while predictions can be served and logged, else 503. Prefect being away is `degraded`."""
    checks: Mapping[str, Check] = state.health_checks
    health = await examine(checks)
    return Response(health, status_code=503 if health.status == "down" else 200)
