"""Predictions over HTTP: the hot path. Each request to a known deployment leaves log rows, failed ones too.

These handlers read the request themselves and answer bytes: what the framework would do for each request (dependencies,
conversions, serialization) takes longer than scoring a row.
"""

import time
import uuid

from litestar.openapi import ResponseSpec
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp

from api.auth import Principal, requires
from api.inference_log.batch import Ending
from api.prediction_call import PredictionCall
from api.request import ApiRequest
from api.routes.hot_handler import HotHandler
from api.routes.predict_operation import PredictOperation
from api.schemas.predictions import PredictAnswer, PredictOptions
from api.scoring.registry import Registry, Served
from api.scoring.routing import choose, draw
from api.serving import Serving
from monitoring.store.errors import Conflict

_ANSWERS = {200: ResponseSpec(PredictAnswer, description="Predictions, logged", generate_examples=False)}


@HotHandler(
    "/api/mlops/deployments/{deployment_id:uuid}/predict",
    http_method="POST",
    operation_id="Predict",
    operation_class=PredictOperation,
    summary="Predict by a deployment",
    tags=["predictions"],
    guards=[requires("predict")],
    responses=_ANSWERS,
    status_code=200,
)
async def predict_by_deployment(request: ApiRequest, deployment_id: FromPath[uuid.UUID]) -> ASGIApp:
    """Predict one row or up to 10,000 by an active deployment. The answer leaves when its log rows are durable."""
    started = time.perf_counter()
    serving: Serving = request.app.state.serving
    served = await serving.registry.deployment(deployment_id)
    principal: Principal = request.scope["user"]
    principal.require_project(served.facts.project_id, kind="deployment", identifier=deployment_id)
    return _json(*await PredictionCall(serving, served, principal, started).answer(request))


@HotHandler(
    "/api/mlops/projects/{project_id:uuid}/predict",
    http_method="POST",
    operation_id="PredictByProject",
    operation_class=PredictOperation,
    summary="Predict by a project's production",
    tags=["predictions"],
    guards=[requires("predict")],
    responses=_ANSWERS,
    status_code=200,
)
async def predict_by_project(request: ApiRequest, project_id: FromPath[uuid.UUID]) -> ASGIApp:
    """Predict by whatever is in production, canaries included by their shares. 409 when nothing is in production."""
    started = time.perf_counter()
    principal: Principal = request.scope["user"]
    principal.require_project(project_id)
    serving: Serving = request.app.state.serving

    async def pick(options: PredictOptions) -> Served:
        return await _routed(serving.registry, project_id, draw(options.routing_key))

    production = await _routed(serving.registry, project_id, 100.0)
    return _json(*await PredictionCall(serving, production, principal, started).answer(request, pick))


async def _routed(registry: Registry, project_id: uuid.UUID, drawn: float) -> Served:
    """Return the deployment that answers. Raises NotFound, or Conflict when nothing is in production.

    Between reading the remembered routes and the deployment a swap may come: then the database is asked for both at
    once, so that no number of swaps makes a prediction fail.
    """
    chosen = choose(await registry.routes(project_id), drawn)
    served: Served | None = None
    if chosen is not None:
        served = await registry.deployment(chosen)
        if not served.facts.is_active:
            registry.forget_project(project_id)
            served = await registry.chosen_now(project_id, lambda routes: choose(routes, drawn))
    if served is not None:
        return served
    raise Conflict(f"Nothing is in production in project {project_id}: promote a deployment first")


def _json(content: bytes, ending: Ending) -> ASGIApp:
    """Return the response as the server sends it, past the framework's own making of responses."""
    return ASGIResponse(body=content, media_type="application/json", headers={"Inference-Log": ending})
