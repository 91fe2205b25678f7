"""A deployment with log rows of the last minutes, in the workers' database."""

import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import text

from monitoring.profile import Predictions
from monitoring.store.database import Database
from tests.drift_material import LogRow, add_deployment, copy_log, twenty_columns, twenty_features

REFERENCE_ROWS = 2_000
_COUNT = text(
    "INSERT INTO inference_count (deployment_id, minute, status_code, row_count) "
    "SELECT deployment_id, date_trunc('minute', created_at, 'UTC'), status_code, count(*) FROM inference_log "
    "WHERE deployment_id = :deployment_id GROUP BY 1, 2, 3"
)


def add_subject(database: Database, *, rows: int, shift: float = 0.0) -> uuid.UUID:
    """Store a model of twenty features, a deployment of it, and that many log rows; return the deployment's id."""
    rng = np.random.default_rng(4)
    scores = rng.random(REFERENCE_ROWS)
    predictions = Predictions("Binomial", scores, ["yes"] * REFERENCE_ROWS, ("no", "yes"))
    deployment_id = add_deployment(database, twenty_columns(REFERENCE_ROWS, seed=1), twenty_features(), predictions)
    now = datetime.now(UTC)
    log = [
        LogRow(inputs, score=float(rng.random()), created_at=now - timedelta(milliseconds=1_000 + place))
        for place, inputs in enumerate(twenty_columns(max(rows, 1), seed=2, shift=shift).iter_rows(named=True))
    ]
    copy_log(database.url, deployment_id, log[:rows])
    with database.transaction() as session:  # as the API's log writer does
        session.execute(_COUNT, {"deployment_id": deployment_id})
    return deployment_id
