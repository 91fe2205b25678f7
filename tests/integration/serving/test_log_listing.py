"""Listing the inference log: totals, pages and filters agree with a plain count and sort of the table."""

import asyncio
import random
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from monitoring.store.database import Database
from monitoring.store.inference_ids import stamp
from monitoring.store.inference_logs import LogFilter, LogRow, read_page
from tests.integration.serving.log_rows import a_request
from tests.integration.serving.test_log_writer import run, writing

START = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=1)


def fill(database: Database, deployment_id: uuid.UUID, seed: int, requests: int = 150) -> None:
    """Log requests of random sizes and statuses at random instants around midnight, some of them the same."""
    rng = random.Random(seed)
    start_us = int(START.timestamp() * 1e6)

    async def test() -> None:
        async with writing(database) as writer:
            made = []
            for _ in range(requests):
                second = rng.choice([rng.randrange(7200), 3600, 3660])
                instant = start_us + second * 1_000_000 + rng.choice([0, 0, 1, 999_999, rng.randrange(1_000_000)])
                status_code = rng.choice([200, 200, 200, 422, 503])
                rows = rng.choice([1, 1, 1, 2, 5])
                made.append(a_request(deployment_id, rows=rows, status_code=status_code, at=stamp(instant)))
            await asyncio.gather(*[writer.append(each) for each in made])

    run(test)


def plainly(database: Database, wanted: LogFilter) -> list[uuid.UUID]:
    """Return what the filter matches, newest first, the simple way."""
    with database.transaction() as session:
        found = session.execute(
            text(
                "SELECT id FROM inference_log "
                "WHERE deployment_id = :id AND created_at > :since AND created_at < :until "
                "AND (CAST(:status AS int) IS NULL OR status_code = :status) ORDER BY created_at DESC, id DESC"
            ),
            {
                "id": wanted.deployment_id,
                "since": wanted.since or datetime(1970, 1, 1, tzinfo=UTC),
                "until": wanted.until or datetime(9000, 1, 1, tzinfo=UTC),
                "status": wanted.status_code,
            },
        )
        return [row_id for (row_id,) in found]


def page(database: Database, wanted: LogFilter, limit: int, offset: int) -> tuple[list[LogRow], int]:
    with database.transaction() as session:
        return read_page(session, wanted, limit=limit, offset=offset)


def filters(database: Database, deployment_id: uuid.UUID, seed: int, count: int) -> Iterable[LogFilter]:
    """Yield random filters; their times fall between rows, exactly on rows, and exactly on minutes."""
    rng = random.Random(seed)
    with database.transaction() as session:
        found = session.execute(
            text("SELECT created_at FROM inference_log WHERE deployment_id = :id"), {"id": deployment_id}
        )
        on_rows = [instant for (instant,) in found]

    def instant() -> Any:
        return rng.choice(
            [
                None,
                rng.choice(on_rows),
                START + timedelta(minutes=rng.randrange(130)),
                START + timedelta(seconds=rng.random() * 7500),
            ]
        )

    for _ in range(count):
        yield LogFilter(deployment_id, instant(), instant(), rng.choice([None, None, 200, 422, 404]))


@pytest.mark.parametrize("seed", [1, 2])
def test_pages_and_totals_equal_a_plain_count_and_sort(database: Database, seed: int) -> None:
    deployment_id, other = uuid.uuid4(), uuid.uuid4()
    fill(database, deployment_id, seed)
    fill(database, other, seed + 100, requests=30)
    rng = random.Random(seed)
    for wanted in filters(database, deployment_id, seed, 80):
        expected = plainly(database, wanted)
        limit, offset = rng.choice([1, 7, 50, 500]), rng.choice([0, 1, 10, len(expected) // 2, len(expected), 10_000])
        rows, total = page(database, wanted, limit, offset)
        assert total == len(expected), wanted
        assert [row.id for row in rows] == expected[offset : offset + limit], (wanted, limit, offset)


def test_an_instant_is_excluded_at_both_ends(database: Database) -> None:
    deployment_id, at = uuid.uuid4(), stamp(int(START.timestamp() * 1e6) + 123_456)

    async def test() -> None:
        async with writing(database) as writer:
            await writer.append(a_request(deployment_id, at=at))

    run(test)
    microsecond = timedelta(microseconds=1)
    for since, until, found in [
        (at.created_at, None, 0),
        (at.created_at - microsecond, None, 1),
        (None, at.created_at, 0),
        (None, at.created_at + microsecond, 1),
        (at.created_at - microsecond, at.created_at + microsecond, 1),
        (at.created_at + microsecond, at.created_at - microsecond, 0),
    ]:
        assert page(database, LogFilter(deployment_id, since, until), 10, 0)[1] == found


def test_totals_hold_while_rows_are_added(database: Database) -> None:
    """Read pages while the writer works: each page's total is the count of one instant, never less than before."""
    deployment_id = uuid.uuid4()

    async def test() -> None:
        async with writing(database) as writer:
            stop = asyncio.Event()

            async def add() -> None:
                while not stop.is_set():
                    await writer.append(a_request(deployment_id, rows=3))

            adding = [asyncio.create_task(add()) for _ in range(4)]
            seen = 0
            for _ in range(40):
                rows, total = await asyncio.to_thread(page, database, LogFilter(deployment_id), 500, 0)
                assert total % 3 == 0
                assert len(rows) == min(total, 500)
                assert total >= seen
                seen = total
            stop.set()
            await asyncio.gather(*adding)
            assert seen > 0

    run(test)
    assert page(database, LogFilter(deployment_id), 1, 0)[1] == len(plainly(database, LogFilter(deployment_id)))


def test_a_walk_with_a_fixed_until_gives_each_old_row_once_while_rows_are_added(database: Database) -> None:
    deployment_id = uuid.uuid4()
    fill(database, deployment_id, 5)
    old = plainly(database, LogFilter(deployment_id))
    until = max(datetime.now(UTC), START + timedelta(hours=2, minutes=1))
    after_us = int(until.timestamp() * 1e6)

    async def test() -> list[uuid.UUID]:
        walked: list[uuid.UUID] = []
        async with writing(database) as writer:
            while True:
                wanted = LogFilter(deployment_id, until=until)
                rows, total = await asyncio.to_thread(page, database, wanted, 17, len(walked))
                assert total == len(old)
                if not rows:
                    return walked
                walked += [row.id for row in rows]
                await writer.append(a_request(deployment_id, rows=5, at=stamp(after_us + len(walked))))

    assert run(test) == old
