"""Rows that PostgreSQL does not take go to the spool and join the log once; the ledger balances whatever happens."""

import asyncio
import os
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.errors import Unavailable
from api.inference_log.backlog import WriterBounds
from api.inference_log.batch import Ending
from api.inference_log.spool import SpoolBounds
from api.inference_log.writer import LogWriter
from monitoring.store.database import Database
from monitoring.store.inference_ids import Stamp, stamp
from monitoring.store.projects import delete_project
from monitoring.store.tables import Deployment
from tests.integration.serving.breaking import Relay, relay, wait_until, writer_backends
from tests.integration.serving.log_rows import a_request, counted_rows, stored_ids
from tests.integration.serving.spools import (
    a_deployment,
    assert_balanced,
    files,
    segment_facts,
    settled,
    spooling,
)
from tests.integration.serving.test_log_writer import run


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket."""
    with tempfile.TemporaryDirectory(prefix="ph") as folder:
        yield Path(folder)


@pytest.fixture
def deployment_id(database: Database) -> uuid.UUID:
    """A deployment that exists."""
    return a_deployment(database)


def break_off(passing: Relay) -> None:
    """Make the database unreachable."""
    passing.refuse_connections = True
    passing.cut()


async def append_many(writer: LogWriter, deployment_id: uuid.UUID, count: int) -> tuple[list[Stamp], list[Ending]]:
    """Append requests one after the other; return their stamps, in order, and where they ended."""
    stamps, endings = [], []
    for _ in range(count):
        stamps.append(at := stamp())
        endings.append(await writer.append(a_request(deployment_id, at=at)))
    return stamps, endings


def test_an_outage_spools_at_once_and_replays_in_order(
    database: Database, short_folder: Path, tmp_path: Path, deployment_id: uuid.UUID
) -> None:
    async def test() -> list[Stamp]:
        async with relay(database.url, short_folder) as (passing, url), spooling(Database(url), tmp_path) as writer:
            before, endings = await append_many(writer, deployment_id, 3)
            assert set(endings) == {"stored"}
            break_off(passing)
            during, endings = await append_many(writer, deployment_id, 40)
            assert set(endings) == {"spooled"}
            assert writer.spool is not None
            assert writer.is_spooling
            assert not writer.is_up
            assert writer.spool.figures.waiting_rows == 40
            assert writer.spool.figures.oldest_us == during[0].instant_us
            passing.refuse_connections = False
            await settled(writer)
            after, endings = await append_many(writer, deployment_id, 3)
            assert set(endings) == {"stored"}
            counters = writer.counters
            assert (counters.served_rows, counters.stored_rows, counters.spooled_rows) == (46, 6, 40)
            assert writer.spool.figures.replayed_rows == 40
            return before + during + after

    stamps = run(test)
    assert stored_ids(database, deployment_id) == [at.row_hex(0) for at in stamps]
    assert counted_rows(database, deployment_id) == 46
    total = assert_balanced(database)
    assert (total.served, total.stored, total.spooled, total.replayed, total.open) == (46, 6, 40, 40, 0)
    assert files(tmp_path) == []
    assert sum(facts["rows"] for facts in segment_facts(database)) == 40


def test_a_database_that_hangs_makes_rows_go_to_the_spool_after_a_while(
    database: Database, tmp_path: Path, deployment_id: uuid.UUID
) -> None:
    async def test() -> None:
        async with spooling(database, tmp_path) as writer:
            await writer.append(a_request(deployment_id))
            [backend] = await asyncio.to_thread(writer_backends, database)
            os.kill(backend, signal.SIGSTOP)
            try:
                endings = await asyncio.gather(*[writer.append(a_request(deployment_id, rows=2)) for _ in range(5)])
                assert set(endings) == {"spooled"}
            finally:
                os.kill(backend, signal.SIGCONT)
            await settled(writer)
            assert await writer.append(a_request(deployment_id)) == "stored"

    run(test)
    assert len(stored_ids(database, deployment_id)) == counted_rows(database, deployment_id) == 12
    assert_balanced(database)


def test_rows_spooled_while_their_commit_happens_are_in_the_log_once(
    database: Database, short_folder: Path, tmp_path: Path, deployment_id: uuid.UUID
) -> None:
    async def test() -> None:
        async with relay(database.url, short_folder) as (passing, url), spooling(Database(url), tmp_path) as writer:
            await writer.append(a_request(deployment_id))
            passing.lose_next_commit_answer, passing.refuse_connections = True, True
            assert await writer.append(a_request(deployment_id, rows=3)) == "spooled"
            assert passing.commit_answers_lost == 1
            passing.refuse_connections = False
            await settled(writer)

    run(test)
    assert len(stored_ids(database, deployment_id)) == counted_rows(database, deployment_id) == 4
    total = assert_balanced(database)
    assert (total.stored, total.spooled, total.replayed, total.open) == (1, 3, 3, 0)
    assert [(facts["rows"], facts["already_stored"]) for facts in segment_facts(database)] == [(3, 3)]


@pytest.mark.parametrize("is_committed", [True, False])
def test_rows_refused_in_doubt_are_told_from_those_stored_all_the_same(
    database: Database, short_folder: Path, deployment_id: uuid.UUID, *, is_committed: bool
) -> None:
    async def test() -> None:
        async with relay(database.url, short_folder) as (passing, url):
            writer = LogWriter(Database(url), WriterBounds(wait_s=0.8, tell_every_s=0.2))
            writer.start()
            await writer.append(a_request(deployment_id))
            if is_committed:
                passing.lose_next_commit_answer, passing.refuse_connections = True, True
            else:
                break_off(passing)
            with pytest.raises(Unavailable, match="database does not answer"):
                await writer.append(a_request(deployment_id, rows=3))
            passing.refuse_connections = False
            await wait_until(lambda: writer.is_up and writer.tally.is_told)
            await writer.close()

    run(test)
    assert counted_rows(database, deployment_id) == (4 if is_committed else 1)
    total = assert_balanced(database)
    assert (total.served, total.stored, total.refused, total.open) == (4, 1, 3, 0)
    assert total.refused_stored == (3 if is_committed else 0)


@pytest.fixture(params=["bound", "disk", "kept free"])
def little_room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, SpoolBounds]]:
    """A spool with room for some 20 KB: by its bound, on a disk so small, or because the rest of it is to stay free."""
    if request.param == "bound":
        yield tmp_path, SpoolBounds(max_bytes=20_000, keep_free_bytes=0)
        return
    if os.geteuid() != 0:
        pytest.skip("only root makes a small disk")
    size = 24_576 if request.param == "disk" else 65_536
    if os.system(f"mount -t tmpfs -o size={size} tmpfs {tmp_path}") != 0:  # noqa: S605
        pytest.skip("no disk may be mounted here")
    try:
        yield tmp_path / "spool", SpoolBounds(keep_free_bytes=0 if request.param == "disk" else 40_000)
    finally:
        os.system(f"umount {tmp_path}")  # noqa: S605


def test_a_full_spool_refuses_and_loses_nothing_it_promised(
    database: Database, short_folder: Path, little_room: tuple[Path, SpoolBounds], deployment_id: uuid.UUID
) -> None:
    root, spool_bounds = little_room

    async def test() -> list[Any]:
        async with (
            relay(database.url, short_folder) as (passing, url),
            spooling(Database(url), root, spool=spool_bounds) as writer,
        ):
            await writer.append(a_request(deployment_id))
            break_off(passing)
            outcomes: list[Any] = []
            for _ in range(60):
                at = stamp()
                request = a_request(deployment_id, at=at, inputs=[{"x": "y" * 600}])
                [outcome] = await asyncio.gather(writer.append(request), return_exceptions=True)
                outcomes.append((at, outcome))
            assert not writer.is_spooling
            passing.refuse_connections = False
            await settled(writer)
            assert await writer.append(a_request(deployment_id)) == "stored"
            return outcomes

    outcomes = run(test)
    spooled = [at.row_hex(0) for at, outcome in outcomes if outcome == "spooled"]
    refused = [outcome for _, outcome in outcomes if isinstance(outcome, Unavailable)]
    assert len(spooled) > 5
    assert len(refused) > 5
    assert len(spooled) + len(refused) == 60
    assert refused[0].retry_after_s > 0
    assert set(spooled) <= set(stored_ids(database, deployment_id))
    total = assert_balanced(database)
    assert (total.served, total.stored, total.replayed, total.refused) == (62, 2, len(spooled), len(refused))
    assert files(root) == []


def test_rows_of_a_deleted_project_are_let_go_and_accounted_for(
    database: Database, short_folder: Path, tmp_path: Path, deployment_id: uuid.UUID
) -> None:
    other = a_deployment(database)

    def remove() -> None:
        with database.transaction() as session:
            deployment = session.get(Deployment, other)
            assert deployment is not None
            delete_project(session, deployment.project_id, force=True)

    async def test() -> None:
        async with relay(database.url, short_folder) as (passing, url), spooling(Database(url), tmp_path) as writer:
            await writer.append(a_request(other, rows=5))
            break_off(passing)
            await append_many(writer, deployment_id, 2)
            await append_many(writer, other, 3)
            await asyncio.to_thread(remove)
            passing.refuse_connections = False
            await settled(writer)

    run(test)
    assert stored_ids(database, other) == []
    assert len(stored_ids(database, deployment_id)) == 2
    total = assert_balanced(database)
    assert (total.spooled, total.replayed, total.removed) == (5, 5, 8)


def test_what_postgresql_refuses_is_set_aside_and_holds_up_nothing(
    database: Database, short_folder: Path, tmp_path: Path, deployment_id: uuid.UUID
) -> None:
    async def test() -> None:
        async with relay(database.url, short_folder) as (passing, url), spooling(Database(url), tmp_path) as writer:
            await writer.append(a_request(deployment_id))
            break_off(passing)
            await append_many(writer, deployment_id, 20)
            assert await writer.append(a_request(deployment_id, rows=2, status_code=99_999)) == "spooled"
            await append_many(writer, deployment_id, 20)
            passing.refuse_connections = False
            await settled(writer)
            assert writer.spool is not None
            assert writer.spool.figures.set_aside_rows == 2

    run(test)
    assert len(stored_ids(database, deployment_id)) == counted_rows(database, deployment_id) == 41
    total = assert_balanced(database)
    assert (total.spooled, total.replayed, total.in_spools) == (42, 40, 2)
    assert [(path.parent.name, path.suffix) for path in files(tmp_path)] == [("refused", ".rec")]
    assert [facts["set_aside"] for facts in segment_facts(database)] == [2]
