"""What really came of predictions: labels by inference id, whenever and in whatever order they arrive."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session, col, select

from monitoring.actuals import Actuals
from monitoring.bins import LabelBins
from monitoring.profile import Binned
from monitoring.store.alert_tables import Feedback
from monitoring.store.errors import Conflict
from monitoring.store.inference_ids import instant_of
from monitoring.store.tables import Deployment, Model, ReferenceProfile
from monitoring.store.turns import take_feedback_turn

# OFFSET 0 is a fence: each id is looked up by the log's key, where the planner might rather read the whole log.
_ANSWERED = text(
    "SELECT answer.id FROM unnest(CAST(:ids AS uuid[]), CAST(:instants AS timestamptz[])) AS asked(id, instant) "
    "CROSS JOIN LATERAL (SELECT id FROM inference_log WHERE deployment_id = :deployment_id"
    " AND created_at = asked.instant AND id = asked.id AND status_code = 200 OFFSET 0) AS answer"
)
# The minutes of what is new are marked: their slices of the log are folded again.
_KEEP = text(
    "WITH changed AS (INSERT INTO feedback AS kept"
    " (deployment_id, inference_id, predicted_at, label, number, observed_at, received_at) "
    "SELECT :deployment_id, id, instant, label, number, observed, :now FROM unnest(CAST(:ids AS uuid[]),"
    " CAST(:instants AS timestamptz[]), CAST(:labels AS text[]), CAST(:numbers AS double precision[]),"
    " CAST(:observed AS timestamptz[])) AS given(id, instant, label, number, observed) "
    "ON CONFLICT (deployment_id, inference_id) DO UPDATE SET label = excluded.label, number = excluded.number,"
    " observed_at = excluded.observed_at, received_at = excluded.received_at "
    "WHERE (kept.label, kept.number) IS DISTINCT FROM (excluded.label, excluded.number) RETURNING predicted_at) "
    "INSERT INTO rollup_mark (deployment_id, minute) "
    "SELECT DISTINCT CAST(:deployment_id AS uuid), date_trunc('minute', predicted_at, 'UTC') FROM changed"
)


@dataclass(frozen=True)
class Observation:
    """The actual value of one prediction: a label in the model's spelling, or a finite number."""

    inference_id: uuid.UUID
    actual: str | float
    observed_at: datetime | None = None


@dataclass(frozen=True)
class Recorded:
    """What became of a call: items kept, ids that are no answered prediction, and values replaced, before and after."""

    accepted: int
    unknown: list[uuid.UUID]
    before: dict[str, str | float]
    after: dict[str, str | float]


def deployment_actuals(session: Session, deployment_id: uuid.UUID) -> Actuals:
    """Return the reader of a deployment's actual values. Raises Conflict when its model has no profile."""
    statement = (
        select(Model.category, col(ReferenceProfile.profile)["labels"])
        .join(Deployment, col(Deployment.model_id) == col(Model.id))
        .outerjoin(ReferenceProfile, col(ReferenceProfile.model_id) == col(Model.id))
        .where(Deployment.id == deployment_id)
    )
    category, labels = session.execute(statement).one()
    if category == "Regression":
        return Actuals(None)
    bins = Binned.from_json(labels).bins if labels else None
    if not isinstance(bins, LabelBins):
        raise Conflict("The model has no reference profile, so its labels are not known")
    return Actuals(bins.labels + bins.others)


def record_feedback(
    session: Session, deployment_id: uuid.UUID, observations: Sequence[Observation], *, now: datetime
) -> Recorded:
    """Keep the actual values of answered predictions; a value that differs from one kept before replaces it.

    Of several for one prediction in a call the last counts. Calls for one deployment take turns, so that none replaces
    a value unseen.
    """
    take_feedback_turn(session, deployment_id)
    instants = _instants(observations)
    answered = _answered(session, deployment_id, instants)
    latest = {one.inference_id: one for one in observations if one.inference_id in answered}
    before = _changed(session, deployment_id, latest)
    _keep(session, deployment_id, latest, instants, now)
    return Recorded(
        accepted=sum(one.inference_id in answered for one in observations),
        unknown=list(dict.fromkeys(one.inference_id for one in observations if one.inference_id not in answered)),
        before={str(inference_id): actual for inference_id, actual in before.items()},
        after={str(inference_id): latest[inference_id].actual for inference_id in before},
    )


def _instants(observations: Sequence[Observation]) -> dict[uuid.UUID, datetime]:
    """Return when each prediction was made, as its id says; an id that says a year after 9999 is none of ours."""
    instants: dict[uuid.UUID, datetime] = {}
    for one in observations:
        try:
            instants[one.inference_id] = instant_of(one.inference_id)
        except OverflowError:
            continue
    return instants


def _answered(session: Session, deployment_id: uuid.UUID, instants: Mapping[uuid.UUID, datetime]) -> set[uuid.UUID]:
    asked = {"deployment_id": deployment_id, "ids": list(instants), "instants": list(instants.values())}
    return set(session.execute(_ANSWERED, asked).scalars())


def _changed(
    session: Session, deployment_id: uuid.UUID, latest: Mapping[uuid.UUID, Observation]
) -> dict[uuid.UUID, str | float]:
    """Return the values kept now that the observations differ from."""
    statement = select(Feedback.inference_id, Feedback.label, Feedback.number).where(
        Feedback.deployment_id == deployment_id, col(Feedback.inference_id).in_(latest)
    )
    kept = {
        inference_id: number if label is None else label for inference_id, label, number in session.execute(statement)
    }
    return {inference_id: actual for inference_id, actual in kept.items() if actual != latest[inference_id].actual}


def _keep(
    session: Session,
    deployment_id: uuid.UUID,
    latest: Mapping[uuid.UUID, Observation],
    instants: Mapping[uuid.UUID, datetime],
    now: datetime,
) -> None:
    actuals = [one.actual for one in latest.values()]
    given = {
        "ids": list(latest),
        "instants": [instants[inference_id] for inference_id in latest],
        "labels": [actual if isinstance(actual, str) else None for actual in actuals],
        "numbers": [None if isinstance(actual, str) else actual for actual in actuals],
        "observed": [one.observed_at for one in latest.values()],
    }
    session.execute(_KEEP, given | {"deployment_id": deployment_id, "now": now})
