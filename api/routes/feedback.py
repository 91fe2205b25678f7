"""Feedback: actual values of predictions in, performance out."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.auth import Principal, requires
from api.errors import FieldError, Invalid
from api.idempotency import Once
from api.routes.readings import WindowMinutes
from api.schemas.common import in_utc
from api.schemas.feedback import FeedbackAnswer, FeedbackItem, FeedbackSent, PerformanceAnswer
from monitoring.actuals import ActualRefused, Actuals
from monitoring.store import audit
from monitoring.store.database import Database
from monitoring.store.deployments import find_deployment
from monitoring.store.feedback import Observation, deployment_actuals, record_feedback
from monitoring.store.performance import read_performance
from monitoring.windows import DEFAULT_WINDOW_MINUTES, trailing_window

_ERRORS_SHOWN = 100


@post(
    "/api/mlops/deployments/{deployment_id:uuid}/feedback",
    operation_id="SendFeedback",
    summary="Say what really came of predictions",
    tags=["predictions"],
    guards=[requires("write")],
    status_code=200,
    sync_to_thread=True,
)
def send_feedback(
    deployment_id: FromPath[uuid.UUID],
    data: JSONBody[FeedbackSent],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    once: NamedDependency[Once],
) -> FeedbackAnswer:
    """Keep actual values by inference id. Repeating one changes nothing; another value replaces it and is audited."""
    with database.transaction() as session:
        found = find_deployment(session, deployment_id)
        principal.require_project(found.project_id, kind="deployment", identifier=deployment_id)
        observations = read_items(data.items, deployment_actuals(session, deployment_id))
    with once.claim(data) as claim, database.transaction() as session:
        deployment = find_deployment(session, deployment_id)
        recorded = record_feedback(session, deployment_id, observations, now=datetime.now(UTC))
        if recorded.before:
            audit.record(
                session,
                actor=principal.key_id,
                action="feedback.replaced",
                subject=deployment,
                before=dict(recorded.before),
                after=dict(recorded.after),
            )
        answer = FeedbackAnswer(recorded.accepted, recorded.unknown)
        claim.keep(session, answer, status_code=200)
    return answer


@get(
    "/api/mlops/deployments/{deployment_id:uuid}/performance",
    operation_id="GetPerformance",
    summary="Measure the predictions that have actual values",
    tags=["predictions"],
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_performance(
    deployment_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    window_minutes: WindowMinutes = DEFAULT_WINDOW_MINUTES,
) -> PerformanceAnswer:
    """Return accuracy or RMSE of the predictions made in the last `window_minutes` whose actual values have come."""
    window = trailing_window(datetime.now(UTC), window_minutes)
    with database.transaction() as session:
        found = find_deployment(session, deployment_id)
        principal.require_project(found.project_id, kind="deployment", identifier=deployment_id)
        performance = read_performance(session, deployment_id, window)
    return PerformanceAnswer.of(deployment_id, window_minutes, window, performance)


def read_items(items: Sequence[FeedbackItem], actuals: Actuals) -> list[Observation]:
    """Return the items as the model spells them. Raises Invalid naming each item that cannot be read."""
    observations: list[Observation] = []
    errors: list[FieldError] = []
    for place, item in enumerate(items):
        try:
            actual = actuals.read(item.actual)
        except ActualRefused as refused:
            errors.append(FieldError(f"items[{place}].actual", str(refused)))
            continue
        observed_at = in_utc(item.observed_at, f"items[{place}].observed_at")
        observations.append(Observation(item.inference_id, actual, observed_at))
    if errors:
        raise Invalid(*errors[:_ERRORS_SHOWN])
    return observations
