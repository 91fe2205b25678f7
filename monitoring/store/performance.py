"""How good a deployment's predictions of a window were, out of the labels that have come."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session, col, select

from monitoring.metrics import LabelCounts, accuracy_degradation
from monitoring.profile import Baseline
from monitoring.rules import Reading
from monitoring.slices import Pair as Labels
from monitoring.store.tables import Deployment, Model, ReferenceProfile
from monitoring.store.window_counts import count_labels, count_pairs, limit_statements
from monitoring.windows import Window

_PAIRS_SHOWN = 1_000
_STATEMENT_TIMEOUT_S = 30


@dataclass(frozen=True)
class Pair:
    """How many predictions said `predicted` where it was `actual`."""

    actual: str
    predicted: str | None
    predictions: int


@dataclass(frozen=True)
class Performance:
    """What the labels of a window's predictions say; `pairs`: the most frequent, None in regression."""

    metric: Literal["accuracy", "rmse"]
    labelled: LabelCounts
    baseline: Baseline | None
    degradation: Reading
    pairs: list[Pair] | None

    @property
    def achieved(self) -> float | None:
        """Accuracy (0-1) or RMSE; None without labels."""
        return self.labelled.achieved(self.metric)


def read_performance(session: Session, deployment_id: uuid.UUID, window: Window) -> Performance:
    """Return the performance of the predictions made in the window, whenever their labels came."""
    statement = (
        select(Model.category, col(ReferenceProfile.profile)["baseline"])
        .join(Deployment, col(Deployment.model_id) == col(Model.id))
        .outerjoin(ReferenceProfile, col(ReferenceProfile.model_id) == col(Model.id))
        .where(Deployment.id == deployment_id)
    )
    category, found = session.execute(statement).one()
    baseline = Baseline(**found) if found else None
    limit_statements(session, _STATEMENT_TIMEOUT_S)
    labelled = count_labels(session, [deployment_id], window).get(deployment_id, LabelCounts(0, 0, 0.0))
    pairs = None
    if category != "Regression":
        pairs = _most_frequent(count_pairs(session, deployment_id, window))
    return Performance(
        metric="rmse" if category == "Regression" else "accuracy",
        labelled=labelled,
        baseline=baseline,
        degradation=accuracy_degradation(baseline, labelled),
        pairs=pairs,
    )


def _most_frequent(counted: Mapping[Labels, int]) -> list[Pair]:
    pairs = [Pair(actual, predicted, predictions) for (actual, predicted), predictions in counted.items()]
    pairs.sort(key=lambda pair: (-pair.predictions, pair.actual, pair.predicted or ""))
    return pairs[:_PAIRS_SHOWN]
