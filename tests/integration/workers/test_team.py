"""`pilothouse api --workers 2`: one port, one scrape, one production, whatever happens to a worker."""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from monitoring.store.database import Database
from tests.e2e.installation import free_port
from tests.h2o_models import TrainedModels
from tests.integration.api.conftest import admin_key, client_of, make_key  # noqa: F401 - fixtures
from tests.integration.serving.breaking import until_true
from tests.integration.serving.log_rows import counted_rows
from tests.integration.workers.swapping import Answer, Project

LEASE_S = 3


class Team:
    """A running team, asked over a fresh connection each time so that any worker may answer."""

    def __init__(self, database_url: str, home: Path, key: str) -> None:
        self.home, self.url, self._key = home, f"http://127.0.0.1:{free_port()}", key
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PILOTHOUSE_")}
        own = {
            "HOME": str(home),
            "DATABASE_URL": database_url,
            "PORT": self.url.rsplit(":", 1)[1],
            "PREFECT_PORT": "9",
            "PRODUCTION_LEASE_S": str(LEASE_S),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "api.cli.main", "api", "--workers", "2"],
            env=kept | {f"PILOTHOUSE_{name}": value for name, value in own.items()},
        )

    def workers(self) -> list[psutil.Process]:
        """The workers' processes."""
        return psutil.Process(self.process.pid).children()

    def client(self) -> httpx.Client:
        """Return a client on a connection of its own."""
        return client_of(self.url, self._key)

    def ask(self, project: Project) -> Answer:
        """Predict by the project on a connection of its own."""
        with self.client() as client:
            return project.ask(client)

    def figure(self, name: str) -> float:
        """Read a figure of the scrape."""
        found = re.search(rf"^{name} (\S+)$", httpx.get(f"{self.url}/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def leases(self, database: Database) -> int:
        """Count the workers that hold a lease."""
        with database.transaction() as session:
            held = session.connection().exec_driver_sql(
                "SELECT count(*) FROM api_worker WHERE lease_until > clock_timestamp()"
            )
            return int(held.scalar_one())


@pytest.fixture
def team(database_url: str, tmp_path: Path, admin_key: str) -> Iterator[Team]:  # noqa: F811
    """A team of two that is ready."""
    made = Team(database_url, tmp_path / "home", admin_key)
    try:
        yield made
    finally:
        for worker in made.workers() if made.process.poll() is None else ():
            worker.send_signal(signal.SIGCONT)
        made.process.terminate()
        made.process.wait(30)


def test_two_workers_are_one_api(team: Team, database: Database, h2o_models: TrainedModels) -> None:
    until_true(lambda: team.leases(database) == 2, 100)
    with team.client() as client:
        project = Project.make(client, database, h2o_models)
    assert {team.ask(project).deployment_id for _ in range(30)} == {project.first}
    until_true(lambda: team.figure("pilothouse_log_rows_stored_total") == 30, 30)
    assert counted_rows(database, uuid.UUID(project.first)) == 30
    assert team.figure("pilothouse_log_writer_up") == 1

    stopped, running = team.workers()
    stopped.suspend()  # it hears nothing, answers nothing, and may wake at any time
    with team.client() as client, ThreadPoolExecutor(1) as thread:
        promoting = thread.submit(project.promote_second, client)
        time.sleep(1)
        assert not promoting.done()
        stopped.resume()
        promoting.result()
    for sleeper in (running, stopped):
        sleeper.suspend()
        assert team.ask(project).deployment_id == project.second
        sleeper.resume()

    stopped.suspend()
    with team.client() as client:
        project.roll_back_to(client, project.first)  # when it returns, the lease of the sleeper is over
    running.suspend()
    stopped.resume()
    assert team.ask(project).deployment_id == project.first
    running.resume()

    stopped.kill()
    assert {team.ask(project).deployment_id for _ in range(10)} == {project.first}
    until_true(lambda: len(team.workers()) == 2 and stopped not in team.workers(), 60)
    until_true(lambda: team.figure("pilothouse_log_rows_stored_total") >= 40, 30)  # of the dead one too
    workers = team.workers()
    team.process.terminate()
    assert team.process.wait(30) == 0
    assert not [worker for worker in workers if worker.is_running()]
    assert list((team.home / "metrics").iterdir()) == []
