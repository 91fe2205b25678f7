"""The log writer on a real PostgreSQL: rows come back as they went in, in few commits, and bad ones harm nobody."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from api.errors import Unavailable
from api.inference_log.backlog import WriterBounds
from api.inference_log.batch import Ending
from api.inference_log.writer import LogWriter
from monitoring.store.database import Database
from monitoring.store.inference_ids import stamp
from tests.integration.serving.log_rows import a_request, counted_rows, stored_ids

HOSTILE = [
    "tab\there",
    "line\nbreak\r\n",
    "back\\slash",
    "\\N",
    "\\.",
    "\\\\t",
    "quote \" and ' and `",
    "日本 🛶 Zürich",
    '{curly,"array"}',
    "\x01\x7f\x85\u2028",
    "",
    "end\\",
]


@asynccontextmanager
async def writing(database: Database, bounds: WriterBounds | None = None) -> AsyncIterator[LogWriter]:
    writer = LogWriter(database, bounds)
    writer.start()
    try:
        yield writer
    finally:
        await writer.close()


def run(test: Callable[[], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(120):
            return await test()

    return asyncio.run(bounded())


def read_all(database: Database, deployment_id: uuid.UUID) -> list[dict[str, Any]]:
    with database.transaction() as session:
        rows = session.execute(
            text("SELECT *, inputs::text AS raw FROM inference_log WHERE deployment_id = :id ORDER BY created_at, id"),
            {"id": deployment_id},
        )
        return [dict(row) for row in rows.mappings()]


def test_every_column_comes_back_as_it_went_in(database: Database) -> None:
    deployment_id, at = uuid.uuid4(), stamp()
    inputs = [{"amount": 29.99, "n": 42, "city": "Paris", "gap": None}, None]

    async def test() -> None:
        async with writing(database) as writer:
            await writer.append(
                a_request(
                    deployment_id,
                    rows=2,
                    at=at,
                    inputs=inputs,
                    predictions=["yes", "no"],
                    scores=[0.1, 1e-300],
                    probabilities=[[0.9, 0.1], [1.0, 1e-300]],
                )
            )

    run(test)
    first, second = read_all(database, deployment_id)
    assert (first["inputs"], second["inputs"]) == tuple(inputs)
    assert (first["prediction"], second["prediction"]) == ("yes", "no")
    assert (first["score"], second["score"]) == (0.1, 1e-300)
    assert (first["probabilities"], second["probabilities"]) == ([0.9, 0.1], [1.0, 1e-300])
    assert first["created_at"] == second["created_at"] == at.created_at
    assert [row["id"].hex for row in (first, second)] == [at.row_hex(0), at.row_hex(1)]
    assert first["request_id"] == second["request_id"] == at.request_id
    assert (first["status_code"], first["latency_ms"], first["error"]) == (200, 1.25, None)


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_text_comes_back_unchanged(database: Database, value: str) -> None:
    deployment_id = uuid.uuid4()

    async def test() -> None:
        async with writing(database) as writer:
            await writer.append(
                a_request(deployment_id, inputs=[{value: value}], predictions=[value], errors=[value], status_code=422)
            )

    run(test)
    [row] = read_all(database, deployment_id)
    assert json.loads(row["raw"]) == {value: value}
    assert row["prediction"] == row["error"] == value


def test_what_postgresql_cannot_store_is_replaced_in_text_and_escaped_in_json(database: Database) -> None:
    deployment_id = uuid.uuid4()

    async def test() -> None:
        async with writing(database) as writer:
            await writer.append(a_request(deployment_id, inputs=[{"x": "a\0b"}], errors=["a\0b \ud800"]))

    run(test)
    [row] = read_all(database, deployment_id)
    assert json.loads(row["raw"]) == {"x": "a\0b"}
    assert row["error"] == "a?b ?"


def test_refused_payloads_are_kept_as_sent_unless_huge(database: Database) -> None:
    deployment_id = uuid.uuid4()
    inputs = [{"x": 2**80}, {"x": "y" * 100_000}, {"x": [1, {"y": 2}]}]

    async def test() -> None:
        async with writing(database) as writer:
            await writer.append(a_request(deployment_id, rows=3, inputs=inputs, errors=["no"] * 3, status_code=422))

    run(test)
    assert [row["inputs"] for row in read_all(database, deployment_id)] == [{"x": 2**80}, None, {"x": [1, {"y": 2}]}]


def test_infinite_and_undefined_scores_become_null(database: Database) -> None:
    deployment_id = uuid.uuid4()

    async def test() -> None:
        async with writing(database) as writer:
            await writer.append(a_request(deployment_id, rows=2, scores=[float("nan"), float("-inf")]))

    run(test)
    assert [row["score"] for row in read_all(database, deployment_id)] == [None, None]


def test_many_handlers_share_few_commits(database: Database) -> None:
    deployment_ids = [uuid.uuid4() for _ in range(5)]

    async def test() -> LogWriter:
        async with writing(database) as writer:
            await asyncio.gather(*[writer.append(a_request(deployment_ids[i % 5], rows=3)) for i in range(500)])
            assert writer.counters.stored_rows == 1500
            assert writer.counters.backlog_rows == writer.counters.backlog_bytes == 0
            return writer

    writer = run(test)
    assert writer.counters.stored_batches < 20
    for deployment_id in deployment_ids:
        assert len(stored_ids(database, deployment_id)) == counted_rows(database, deployment_id) == 300


def test_counts_are_kept_per_minute_and_status(database: Database) -> None:
    deployment_id = uuid.uuid4()
    noon = int(datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0).timestamp() * 1e6)

    async def test() -> None:
        async with writing(database) as writer:
            for offset_us, status_code in ((0, 200), (59_999_999, 200), (60_000_000, 200), (1, 422)):
                await writer.append(a_request(deployment_id, at=stamp(noon + offset_us), status_code=status_code))

    run(test)
    with database.transaction() as session:
        rows = session.execute(
            text("SELECT minute, status_code, row_count FROM inference_count WHERE deployment_id = :id ORDER BY 1, 2"),
            {"id": deployment_id},
        ).all()
    minute = datetime.fromtimestamp(noon / 1e6, UTC)
    assert [tuple(row) for row in rows] == [
        (minute, 200, 2),
        (minute, 422, 1),
        (minute + timedelta(minutes=1), 200, 1),
    ]


def test_a_missing_partition_is_made_on_the_way(database: Database) -> None:
    deployment_id = uuid.uuid4()
    far = stamp(int(datetime(2031, 5, 17, 23, 59, 59, tzinfo=UTC).timestamp() * 1e6))

    async def test() -> None:
        async with writing(database) as writer:
            await asyncio.gather(
                writer.append(a_request(deployment_id, at=far)), writer.append(a_request(deployment_id))
            )

    run(test)
    assert stored_ids(database, deployment_id)[-1] == far.row_hex(0)
    assert counted_rows(database, deployment_id) == 2


def test_one_bad_row_neither_loses_nor_refuses_the_others(database: Database) -> None:
    deployment_id = uuid.uuid4()

    async def test() -> list[Ending | BaseException]:
        async with writing(database) as writer:
            requests = [a_request(deployment_id) for _ in range(60)]
            requests[17] = a_request(deployment_id, status_code=99_999)  # no smallint
            requests[42] = a_request(deployment_id, status_code=-99_999)
            return await asyncio.gather(*[writer.append(request) for request in requests], return_exceptions=True)

    outcomes = run(test)
    assert [place for place, outcome in enumerate(outcomes) if outcome != "stored"] == [17, 42]
    assert all(isinstance(outcomes[place], Unavailable) for place in (17, 42))
    assert len(stored_ids(database, deployment_id)) == counted_rows(database, deployment_id) == 58


def test_a_full_backlog_refuses_and_says_so(database: Database) -> None:
    deployment_id = uuid.uuid4()

    async def test() -> list[Ending | BaseException]:
        async with writing(database, WriterBounds(backlog_rows=10)) as writer:
            outcomes = await asyncio.gather(
                *[writer.append(a_request(deployment_id)) for _ in range(25)], return_exceptions=True
            )
            assert writer.counters.refused_rows == 15
            return outcomes

    outcomes = run(test)
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 15
    assert len(stored_ids(database, deployment_id)) == 10


def test_closing_stores_what_waits_and_refuses_what_comes_after(database: Database) -> None:
    deployment_id = uuid.uuid4()

    async def test() -> None:
        async with writing(database) as writer:
            waiting = [asyncio.create_task(writer.append(a_request(deployment_id))) for _ in range(100)]
            await asyncio.sleep(0)
            await writer.close()
            await asyncio.gather(*waiting)
            with pytest.raises(Unavailable):
                await writer.append(a_request(deployment_id))

    run(test)
    assert len(stored_ids(database, deployment_id)) == 100


def test_a_handler_that_went_away_leaves_no_trace_in_the_backlog(database: Database) -> None:
    deployment_id = uuid.uuid4()

    async def test() -> None:
        async with writing(database) as writer:
            waiting = [asyncio.create_task(writer.append(a_request(deployment_id))) for _ in range(50)]
            await asyncio.sleep(0)
            for task in waiting[::2]:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await writer.append(a_request(deployment_id))
            assert writer.counters.backlog_rows == writer.counters.backlog_bytes == 0
            assert writer.counters.stored_rows == 51

    run(test)
