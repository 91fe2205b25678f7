"""Predictions by a model itself, deployed or not: for trying it out. Nothing is logged."""

import time
import uuid

import anyio.to_thread
from litestar import post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET

from api.auth import Principal, requires
from api.errors import FieldError, Invalid
from api.predict_body import PredictBody, read_large_body
from api.predicting import contributions_of, milliseconds_since, predictions_of
from api.request import ApiRequest
from api.routes.models import find_visible_model
from api.routes.predict_operation import PredictOperation
from api.schemas.models import ModelPredictAnswer
from api.schemas.predictions import PredictOptions, UnseenWarning
from api.scoring.errors import ContributionsUnavailable, InvalidRows
from api.scoring.mojo import MojoScorer
from api.scoring.recent import RecentScorers
from api.scoring.shelf import ModelUnloadable
from monitoring.store.database import Database
from monitoring.store.errors import Conflict

_NOT_HERE = "is for deployments: a model's own predictions are stored nowhere, and nothing masks them"


@post(
    "/api/models/{model_id:uuid}/predict",
    operation_id="PredictByModel",
    operation_class=PredictOperation,
    summary="Predict by a model",
    tags=["models"],
    guards=[requires("predict")],
    status_code=200,
)
async def predict_by_model(
    request: ApiRequest,
    model_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    state: State,
) -> ModelPredictAnswer:
    """Predict as a deployment would, without one; nothing is logged."""
    started = time.perf_counter()
    recent: RecentScorers = state.recent_scorers
    request.require_json()

    def find() -> MojoScorer:
        with database.transaction() as session:
            model = find_visible_model(session, principal, model_id)
        try:
            return recent.get(model.mojo_sha256)
        except ModelUnloadable as error:
            raise Conflict(f"This model cannot be loaded: {error.reason}") from error

    scorer = await anyio.to_thread.run_sync(find)
    raw = await request.body()
    return await anyio.to_thread.run_sync(lambda: _predict(model_id, scorer, read_large_body(raw), started))


def _check_no_privacy(options: PredictOptions) -> None:
    """Raise Invalid for options that only deployments can follow."""
    asked = {
        "privacy_policy_id": options.privacy_policy_id,
        "anonymize_logs": options.anonymize_logs,
        "anonymize_response": options.anonymize_response,
    }
    if wrong := [FieldError(f"options.{name}", _NOT_HERE) for name, wanted in asked.items() if wanted]:
        raise Invalid(*wrong)


def _predict(model_id: uuid.UUID, scorer: MojoScorer, body: PredictBody, started: float) -> ModelPredictAnswer:
    body.check()
    _check_no_privacy(body.options)
    explained = body.options.include_contributions
    try:
        encoded = scorer.encode(body.rows)
        if body.doubt is not None:
            raise body.doubt
        return ModelPredictAnswer(
            predictions=predictions_of(scorer, scorer.score(encoded.matrix)),
            model_id=model_id,
            contributions=contributions_of(scorer, encoded.matrix) if explained else UNSET,
            warnings=[UnseenWarning(**warning) for warning in encoded.warnings] or UNSET,
            latency_ms=milliseconds_since(started),
        )
    except InvalidRows as error:
        wrong = [FieldError(body.place(each.row, each.field), each.message) for each in error.errors]
        raise Invalid(*wrong) from error
    except ContributionsUnavailable as error:
        raise Invalid(FieldError("options.include_contributions", error.reason)) from error
