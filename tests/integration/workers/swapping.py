"""A project whose production changes hands, and who asks it without pause meanwhile."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from sqlalchemy import text

from monitoring.store.database import Database
from tests.h2o_models import TrainedModels
from tests.integration.api.conftest import client_of
from tests.integration.serving.conftest import store_model
from tests.integration.serving.test_predictions import PROSTATE

INPUTS = {name: PROSTATE[name] for name in ("AGE", "RACE", "DPROS", "DCAPS", "VOL", "GLEASON")}


@dataclass(frozen=True)
class Answer:
    """What one request got, and when it was sent (time.monotonic)."""

    sent_at: float
    status: int
    deployment_id: str | None
    retry_after: str | None


@dataclass(frozen=True)
class Project:
    """A project with two deployments of one model, the first in production."""

    project_id: str
    first: str
    second: str

    @classmethod
    def make(cls, client: httpx.Client, database: Database, models: TrainedModels) -> "Project":
        """Make it over HTTP, its model straight in the database."""
        project = client.post("/api/projects", json={"name": "Fraud"}).raise_for_status().json()["project_id"]
        model_id = store_model(database, models["gbm_binomial"], project)
        made = [
            client.post(
                f"/api/mlops/projects/{project}/deployments",
                json={"name": stage, "stage": stage, "model_id": model_id},
            ).raise_for_status()
            for stage in ("production", "staging")
        ]
        return cls(project, *(each.json()["id"] for each in made))

    def ask(self, client: httpx.Client) -> Answer:
        """Predict by the project."""
        return _ask(client, f"/api/mlops/projects/{self.project_id}/predict")

    def ask_by_id(self, client: httpx.Client, deployment_id: str) -> Answer:
        """Predict by a deployment."""
        return _ask(client, f"/api/mlops/deployments/{deployment_id}/predict")

    def promote_second(self, client: httpx.Client) -> None:
        """Put the second deployment in production for the first time."""
        path = f"/api/mlops/deployments/{self.second}/promote"
        client.post(path, json={"to_stage": "production"}).raise_for_status()

    def roll_back_to(self, client: httpx.Client, deployment_id: str) -> None:
        """Put one of the two back in production."""
        path = f"/api/mlops/deployments/{deployment_id}/rollback"
        client.post(path, json={"to_deployment_id": deployment_id}).raise_for_status()


def _ask(client: httpx.Client, path: str) -> Answer:
    sent_at = time.monotonic()
    answer = client.post(path, json={"inputs": INPUTS})
    body = answer.json()
    return Answer(sent_at, answer.status_code, body.get("deployment_id"), answer.headers.get("retry-after"))


@dataclass
class Asking:
    """The answers so far."""

    answers: list[Answer] = field(default_factory=list)

    def wait_for(self, deployment_id: str, seconds: float = 20) -> None:
        """Return once this deployment has answered a request sent from now on."""
        began = time.monotonic()
        while not any(answer.deployment_id == deployment_id for answer in self.since(began)):
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"{deployment_id} does not answer: {self.answers[-3:]}")
            time.sleep(0.02)

    def since(self, moment: float) -> list[Answer]:
        """Return the answers to requests sent after a moment."""
        return [answer for answer in self.answers if answer.sent_at > moment]


@contextmanager
def asking(project: Project, url: str, key: str) -> Iterator[Asking]:
    """Predict by the project without pause while the block runs."""
    stop, kept = threading.Event(), Asking()

    def run() -> None:
        with client_of(url, key) as client:
            while not stop.is_set():
                kept.answers.append(project.ask(client))
                time.sleep(0.01)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield kept
    finally:
        stop.set()
        thread.join()


def end_listening_sessions(database: Database) -> int:
    """Have PostgreSQL end the sessions by which workers hear of changes; return how many there were."""
    with database.transaction() as session:
        found = session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'pilothouse-changes' AND datname = current_database()"
            )
        )
        return len(found.all())
