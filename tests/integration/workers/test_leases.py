"""Two APIs on one database: who lost its session never answers for production by what it remembers."""

import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from litestar import Litestar
from sqlalchemy import text

from api.app import create_app
from api.peers import Peers
from api.settings import Settings
from monitoring.store.database import Database
from monitoring.store.ids import new_id
from tests.h2o_models import TrainedModels
from tests.integration.api.conftest import (  # noqa: F401 - fixtures
    admin_key,
    client_of,
    make_key,
)
from tests.integration.api.serving import served
from tests.integration.serving.breaking import Relay, relay
from tests.integration.workers.swapping import Project, asking, end_listening_sessions

LEASE_S = 2.0


@pytest.fixture
def client(database_url: str, tmp_path: Path, admin_key: str) -> Iterator[httpx.Client]:  # noqa: F811
    """A client of an API that reaches the database."""
    near = Settings(home=tmp_path / "near", database_url=database_url, prefect_port=9, production_lease_s=LEASE_S)
    with served(create_app(near)) as url, client_of(url, admin_key) as opened:
        yield opened


@pytest.fixture
def passing(database_url: str) -> Iterator[tuple[Relay, str]]:
    """A relay in front of the database, and the URL through it."""
    with (
        tempfile.TemporaryDirectory(prefix="ph") as folder,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(relay(database_url, Path(folder))) as made,
    ):
        yield made
        made[0].stalled = False


@pytest.fixture
def far_app(passing: tuple[Relay, str], tmp_path: Path) -> Litestar:
    """An API that reaches the database through the relay."""
    far = Settings(home=tmp_path / "far", database_url=passing[1], prefect_port=9, production_lease_s=LEASE_S)
    return create_app(far)


@pytest.fixture
def far_url(far_app: Litestar) -> Iterator[str]:
    """The address of the API behind the relay."""
    with served(far_app) as url:
        yield url


@pytest.fixture
def project(client: httpx.Client, database: Database, h2o_models: TrainedModels) -> Project:
    """A project with two deployments."""
    return Project.make(client, database, h2o_models)


def test_a_worker_whose_session_hangs_asks_or_refuses_but_never_answers_for_the_superseded(
    client: httpx.Client,
    far_url: str,
    passing: tuple[Relay, str],
    project: Project,
    admin_key: str,  # noqa: F811
) -> None:
    """The relay stalls: nothing breaks, nothing answers. The promotion waits for the lease, and for no longer."""
    with client_of(far_url, admin_key) as far, asking(project, far_url, admin_key) as asked:
        asked.wait_for(project.first)
        passing[0].stalled = True
        project.promote_second(client)
        returned = time.monotonic()
        refused = project.ask(far)
        assert (refused.status, refused.deployment_id) == (503, None)
        assert refused.retry_after is not None
        assert project.ask_by_id(far, project.first).status == 200  # by its own id it goes on; the row is spooled
        assert far.get("/api/projects").status_code == 503  # who waits in a thread is not left there
        passing[0].stalled = False
        asked.wait_for(project.second)
    later = asked.since(returned)
    assert {answer.status for answer in later} <= {200, 503}
    assert {answer.deployment_id for answer in later if answer.status == 200} == {project.second}


def test_sessions_ended_at_every_swap_mislead_nobody(
    client: httpx.Client,
    far_url: str,
    database: Database,
    project: Project,
    admin_key: str,  # noqa: F811
) -> None:
    with client_of(far_url, admin_key) as far, ThreadPoolExecutor(1) as thread:
        assert project.ask(far).deployment_id == project.first
        project.promote_second(client)
        for swap in range(8):
            production = [project.first, project.second][swap % 2]
            ending = thread.submit(end_listening_sessions, database)
            project.roll_back_to(client, production)
            for caller in (far, client, far):
                answer = project.ask(caller)
                assert (answer.status, answer.deployment_id) == (200, production)
            assert ending.result() <= 2


@pytest.mark.usefixtures("client")
def test_the_wait_is_for_those_who_hold_a_lease(database: Database) -> None:
    """A change that nobody was told of: its maker waits as long as a lease may last, and alone not at all."""
    with database.transaction() as session:
        [(worker_id,)] = session.execute(text("SELECT id FROM api_worker WHERE lease_until > clock_timestamp()")).all()
    began = time.monotonic()
    Peers(database, uuid.uuid4(), LEASE_S).await_change(new_id())
    assert time.monotonic() - began > LEASE_S
    Peers(database, worker_id, 3600).await_change(new_id())
    with database.transaction() as session:
        assert session.execute(text("SELECT count(*) FROM change_ack")).scalar_one() == 0


def test_a_worker_that_connects_too_late_to_hear_still_acknowledges(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    change_id, waiter = new_id(), uuid.uuid4()
    with database.transaction() as session:
        session.execute(
            text("INSERT INTO change_ack VALUES (:change, :waiter, clock_timestamp())"),
            {"change": change_id, "waiter": waiter},
        )
    late = create_app(Settings(home=tmp_path / "late", database_url=database_url, prefect_port=9))
    with served(late):
        Peers(database, waiter, 3600).await_change(change_id)
