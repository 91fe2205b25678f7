"""Deployments of a real model that mask, and what their requests leave behind."""

import json
import uuid
from typing import Any

import httpx
from sqlalchemy import text

from monitoring.store.database import Database
from tests.h2o_models import TrainedModel

PROSTATE = {"AGE": 65, "RACE": "1", "DPROS": "2", "DCAPS": "1", "PSA": 1.4, "VOL": 0, "GLEASON": 6}
EMAIL = "anna.canary@example.com"
CARD = 4111111111111111
NAME = "Annabella Canaria"


def import_model(client: httpx.Client, project_id: str, trained: TrainedModel) -> str:
    """Import a trained model with its reference; return its id."""
    with trained.mojo.open("rb") as mojo, trained.reference.open("rb") as reference:
        made = client.post(
            f"/api/projects/{project_id}/models",
            data={"name": trained.name, "target": trained.target},
            files={"file": ("model.zip", mojo), "reference": ("reference.csv", reference)},
        )
    return str(made.raise_for_status().json()["model_id"])


def deploy(client: httpx.Client, project_id: str, model_id: str, **options: Any) -> str:
    """Deploy a model to staging; return the deployment's id."""
    body = {"model_id": model_id, "name": "scorer", "stage": "staging"} | options
    made = client.post(f"/api/mlops/projects/{project_id}/deployments", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["status"] == "active"
    return str(made.json()["id"])


def ask(client: httpx.Client, deployment_id: str, inputs: Any, **options: Any) -> httpx.Response:
    """Send a prediction."""
    return client.post(f"/api/mlops/deployments/{deployment_id}/predict", json={"inputs": inputs, "options": options})


def logged(database: Database, deployment_id: str) -> list[dict[str, Any]]:
    """Return a deployment's log rows, oldest first."""
    with database.transaction() as session:
        rows = session.execute(
            text("SELECT * FROM inference_log WHERE deployment_id = :id ORDER BY created_at, id"),
            {"id": uuid.UUID(deployment_id)},
        )
        return [dict(row) for row in rows.mappings()]


def whole_log(database: Database, deployment_id: str) -> str:
    """Return all text of a deployment's log rows."""
    return json.dumps(logged(database, deployment_id), default=str)


def failures(client: httpx.Client) -> float:
    """Return how many things could not be masked since the server started."""
    lines = client.get("/metrics").text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("pilothouse_privacy_failures_total")))
