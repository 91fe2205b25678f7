"""A model, a deployment and log rows for drift tests and benchmarks, put into a real PostgreSQL."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import psycopg

from monitoring.profile import Predictions, build_profile
from monitoring.samples import reference_sample
from monitoring.store.database import Database
from monitoring.store.ids import new_id
from monitoring.store.partitions import create_partition
from monitoring.store.tables import Artifact, Deployment, Model, Project, ReferenceProfile

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
CITIES = ("Aachen", "Bergen", "Cadiz", "Delft", "Evora")


@dataclass(frozen=True)
class PlainFeature:
    """The least a FeatureSpec can be."""

    name: str
    type: str
    domain: tuple[str, ...] | None = None


def twenty_features() -> list[PlainFeature]:
    """Fourteen numeric and six categorical features."""
    return [PlainFeature(f"n{place:02}", "numeric") for place in range(14)] + [
        PlainFeature(f"c{place:02}", "categorical", CITIES) for place in range(6)
    ]


def twenty_columns(rows: int, seed: int, shift: float = 0.0) -> pl.DataFrame:
    """Rows of the twenty features; `shift` moves the numeric ones, in standard deviations."""
    rng = np.random.default_rng(seed)
    numeric = {f"n{place:02}": np.round(rng.normal(place + shift, 1.0, rows), 6) for place in range(14)}
    labels = {f"c{place:02}": rng.choice(CITIES, rows, p=[0.4, 0.3, 0.15, 0.1, 0.05]) for place in range(6)}
    return pl.DataFrame(numeric | labels)


def add_deployment(
    database: Database,
    reference: pl.DataFrame,
    features: Sequence[PlainFeature],
    predictions: Predictions,
    *,
    target: str | None = None,
    trained_at: datetime | None = None,
) -> uuid.UUID:
    """Store a model with the reference's profile and a production deployment of it; return the deployment's id.

    With the reference's `target` column the profile has a baseline.
    """
    profile = build_profile(reference, features, predictions, target=target)
    sample = reference_sample(reference, features, predictions)
    with database.transaction() as session:
        project = Project(name="drift")
        artifact = Artifact(sha256=uuid.uuid4().hex, size_bytes=0)
        session.add_all([project, artifact])
        session.flush()
        model = Model(
            project_id=project.id,
            name="model",
            algo="gbm",
            category=predictions.category,
            features=[{"name": f.name, "type": f.type, "domain_size": len(f.domain or ())} for f in features],
            mojo_sha256=artifact.sha256,
            target=target,
            reference_rows=reference.height,
            trained_at=trained_at,
        )
        session.add(model)
        session.flush()
        session.add(ReferenceProfile(model_id=model.id, profile=profile.to_json(), sample=sample))
        deployment = Deployment(
            project_id=project.id, model_id=model.id, name="d", stage="production", status="active", config={}
        )
        session.add(deployment)
        session.flush()
        return deployment.id


@dataclass(frozen=True)
class LogRow:
    """One row for the log; the rest of its columns are filled in."""

    inputs: dict[str, Any] | str | None
    prediction: str | None = "yes"
    score: float | None = 0.5
    status_code: int = 200
    created_at: datetime = NOW - timedelta(minutes=5)


def log_rows(frame: pl.DataFrame, scores: Sequence[float] | None = None) -> list[LogRow]:
    """A log row per row of the frame, nulls left out as a client would."""
    inputs = [{name: value for name, value in row.items() if value is not None} for row in frame.iter_rows(named=True)]
    return [LogRow(row, score=0.5 if scores is None else scores[place]) for place, row in enumerate(inputs)]


def copy_log(url: str, deployment_id: uuid.UUID, rows: Sequence[LogRow]) -> None:
    """COPY rows into the log, days' partitions made as needed."""
    database = Database(url)
    with database.transaction() as session:
        for day in {row.created_at.date() for row in rows}:
            create_partition(session, day)
    database.close()
    columns = "deployment_id, created_at, id, request_id, status_code, latency_ms, inputs, prediction, score"
    request_id = new_id()
    with (
        psycopg.connect(url) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"COPY inference_log ({columns}) FROM STDIN") as copy,
    ):
        for row in rows:
            text = row.inputs if row.inputs is None or isinstance(row.inputs, str) else json.dumps(row.inputs)
            identity = (deployment_id, row.created_at, new_id(), request_id)
            copy.write_row((*identity, row.status_code, 1.0, text, row.prediction, row.score))
