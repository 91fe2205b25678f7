"""A deployment's log of some hours, with all that a slice counts, put down as the API's writer does."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import text

from monitoring.profile import Predictions
from monitoring.store.database import Database
from monitoring.store.feedback import Observation, record_feedback
from tests.drift_material import CITIES, PlainFeature, add_deployment, twenty_columns
from tests.logged_requests import Sent, log_requests

FEATURES = [PlainFeature("n00", "numeric"), PlainFeature("n01", "numeric"), PlainFeature("c00", "categorical", CITIES)]
COLUMNS = [feature.name for feature in FEATURES]
_COUNT = text(
    "INSERT INTO inference_count (deployment_id, minute, status_code, row_count) "
    "SELECT deployment_id, date_trunc('minute', created_at, 'UTC'), status_code, count(*) FROM inference_log "
    "GROUP BY 1, 2, 3 ON CONFLICT (deployment_id, minute, status_code) DO UPDATE SET row_count = excluded.row_count"
)


def add_subject(database: Database) -> uuid.UUID:
    """Store a deployment of a binomial model of three features, with a profile; return its id."""
    rng = np.random.default_rng(7)
    labels = rng.choice(["no", "yes"], 300).tolist()
    predictions = Predictions("Binomial", rng.random(300), labels, ("no", "yes"))
    return add_deployment(database, twenty_columns(300, seed=1).select(COLUMNS), FEATURES, predictions)


def requests_between(start: datetime, end: datetime, every: timedelta, *, seed: int = 3) -> list[Sent]:
    """Return requests of one to four rows at this pace; some fail, some keep no inputs, some values are missing."""
    rng = np.random.default_rng(seed)
    sent, at = [], start
    frame = twenty_columns(4_000, seed=seed, shift=0.5).select(COLUMNS).to_dicts()
    while at < end:
        rows = int(rng.integers(1, 5))
        status = 200 if rng.random() < 0.9 else 500
        inputs: list[dict[str, Any] | None] = [frame[int(place)] for place in rng.integers(0, len(frame), rows)]
        if rng.random() < 0.1:
            inputs = [None] * rows
        elif rng.random() < 0.2:
            inputs = [{"n00": 1.5, "c00": "Atlantis"}] * rows
        answered = status == 200
        sent.append(
            Sent(
                at,
                inputs=inputs,
                predictions=rng.choice(["no", "yes"], rows).tolist() if answered else None,
                scores=rng.random(rows).tolist() if answered else None,
                status_code=status,
                latency_ms=float(np.round(rng.lognormal(1.0, 1.0), 3)),
            )
        )
        at += every
    return sent


def store(database: Database, deployment_id: uuid.UUID, sent: Sequence[Sent]) -> list[list[uuid.UUID]]:
    """Store the requests and count them by minute; return each one's inference ids."""
    ids = log_requests(database, deployment_id, sent)
    with database.transaction() as session:
        session.execute(_COUNT)
    return ids


def label(database: Database, deployment_id: uuid.UUID, ids: Sequence[uuid.UUID], actual: str, now: datetime) -> None:
    """Record feedback that says the same of predictions."""
    with database.transaction() as session:
        recorded = record_feedback(session, deployment_id, [Observation(one, actual) for one in ids], now=now)
    assert recorded.accepted == len(ids)
