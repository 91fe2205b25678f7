"""The demo's steps up to measured drift."""

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from api.cli.demo.calls import Call
from api.cli.demo.client import DemoClient, DemoFailed
from api.cli.demo.rows import PSA_FACTOR, YEARS_OLDER, Row, read_rows, shifted, write_batches
from api.cli.demo.tables import show_drift, show_prediction
from api.cli.demo.training import train

_EXPLAINABLE = {"gbm", "xgboost", "drf"}
_WINDOW_MINUTES = 60
_JOB_TIMEOUT_S = 180.0
_POLL_S = 0.5


@dataclass
class Story:
    """What the steps know and learn."""

    client: DemoClient
    api: str
    prefect: str
    home: Path
    training: dict[str, Any]
    project_id: str = ""
    folder: Path = field(default_factory=Path)
    trained: dict[str, Any] = field(default_factory=dict)
    train_run: str = ""
    model_id: str = ""
    deployment: str = ""
    rows: list[Row] = field(default_factory=list)
    drift: dict[str, Any] = field(default_factory=dict)
    drift_run: str = ""
    address: str = ""
    rule_id: str = ""
    alert_id: str = ""


def create_project(story: Story) -> str:
    """Make a project of its own for each demo, so that it can be run again."""
    name = f"Prostate demo {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    body = {"name": name, "description": "Made by `pilothouse demo`"}
    story.project_id = story.client.make(Call("POST", f"{story.api}/api/projects", body))["project_id"]
    return f"project {story.project_id}"


def train_model(story: Story) -> str:
    """Run the Prefect flow that trains an H2O AutoML, and read what it left."""
    story.train_run = train(story.client, story.prefect, story.training)
    story.folder = story.home / "training" / story.train_run
    story.trained = json.loads((story.folder / "result.json").read_text())
    story.rows = read_rows(story.folder / story.trained["reference"], target=story.trained["target"])
    metrics = ", ".join(f"{name} {value:.3f}" for name, value in list(story.trained["metrics"].items())[:3])
    return f"{story.trained['algo']} ({metrics}) in {story.folder}"


def import_model(story: Story) -> str:
    """Send the MOJO with its reference."""
    form: dict[str, str | Path] = {
        "file": story.folder / story.trained["mojo"],
        "reference": story.folder / story.trained["reference"],
        "name": story.trained["name"],
        "target": story.trained["target"],
        "trained_at": story.trained["trained_at"],
    }
    answer = story.client.make(Call("POST", f"{story.api}/api/projects/{story.project_id}/models", form=form))
    story.model_id = answer["model_id"]
    return f"model {story.model_id}"


def deploy(story: Story) -> str:
    """Put the model into staging."""
    body = {"model_id": story.model_id, "name": "prostate", "stage": "staging"}
    answer = story.client.make(Call("POST", f"{story.api}/api/mlops/projects/{story.project_id}/deployments", body))
    if answer["status"] != "active":
        raise DemoFailed(f"The deployment is {answer['status']}; GET /api/mlops/deployments/{answer['id']} says why")
    story.deployment = f"{story.api}/api/mlops/deployments/{answer['deployment_id']}"
    return f"deployment {answer['deployment_id']} in {answer['stage']}"


def predict(story: Story) -> str:
    """Predict one row, with contributions where the model has them."""
    body: dict[str, Any] = {"inputs": story.rows[0]}
    if story.trained["algo"].lower() in _EXPLAINABLE:
        body["options"] = {"include_contributions": True}
    answer = story.client.make(Call("POST", f"{story.deployment}/predict", body))
    show_prediction(story.client.voice, answer)
    return f"answered in {answer['latency_ms']:.1f} ms"


def promote(story: Story) -> str:
    """Make the deployment the project's production."""
    answer = story.client.make(Call("POST", f"{story.deployment}/promote", {"to_stage": "production"}))
    return f"stage {answer['stage']}"


def replay(story: Story) -> str:
    """Send every row of the reference: data as the model knows it."""
    return _send(story, story.rows, "replay")


def replay_shifted(story: Story) -> str:
    """Send the same people older and with a higher PSA, three times over."""
    sent = _send(story, [shifted(row) for row in story.rows] * 3, "shifted")
    return f"{sent} (AGE + {YEARS_OLDER}, PSA * {PSA_FACTOR:g})"


def measure_drift(story: Story) -> str:
    """Run the drift flow over the last hour and show what it found."""
    call = Call("POST", f"{story.deployment}/drift/run", {"window_minutes": _WINDOW_MINUTES})
    job_id = story.client.make(call)["job_id"]
    job = _follow(story, job_id)
    story.drift_run = job.get("prefect_url") or f"{story.prefect}/runs/flow-run/{job_id}"
    story.drift = story.client.make(Call("GET", f"{story.deployment}/drift"))
    show_drift(story.client.voice, story.drift)
    return f"overall {story.drift['overall_status']} over {story.drift['inference_rows']} rows"


def _send(story: Story, rows: list[Row], name: str) -> str:
    files = list(write_batches(rows, story.home / "demo" / story.project_id, name))
    for number, file in enumerate(files):
        story.client.make(Call("POST", f"{story.deployment}/predict", body_file=file), show=number == 0)
    return f"{len(rows)} rows in {len(files)} requests like this one"


def _follow(story: Story, job_id: str) -> dict[str, Any]:
    call = Call("GET", f"{story.api}/api/jobs/{job_id}")
    job: dict[str, Any] = story.client.make(call)["job"]
    deadline = time.monotonic() + _JOB_TIMEOUT_S
    while job["status"] in {"queued", "running"}:
        if time.monotonic() > deadline:
            raise DemoFailed(f"Job {job_id} is still {job['status']} after {_JOB_TIMEOUT_S:g} s. See {story.prefect}")
        story.client.voice.waiting(f"  job {job['status']}")
        time.sleep(_POLL_S)
        job = story.client.make(call, show=False)["job"]
    story.client.voice.settled()
    if job["status"] != "succeeded":
        where = job.get("prefect_url") or story.prefect
        raise DemoFailed(f"Job {job_id} {job['status']}: {job.get('error') or 'no reason given'}. See {where}")
    return job
