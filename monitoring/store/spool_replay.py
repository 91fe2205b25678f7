"""Rows that waited in a spool join the log: each once, whatever was stored already and however often it is tried."""

import re
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
import psycopg
from sqlmodel import Session

from monitoring.store.ledger_tables import REMOVER

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_US = 60_000_000
_COLUMN_LIST = re.compile(r"[a-z_]+(, [a-z_]+)*")

Minutes = Mapping[datetime, int]


class SpooledRequest(msgspec.Struct, frozen=True, array_like=True):
    """One request's rows as they lie in the spool: `lines` are COPY lines in the order of the segment's columns."""

    deployment_id: str
    instant_us: int
    status_code: int
    row_count: int
    lines: bytes

    @property
    def minute(self) -> datetime:
        """The UTC minute of its rows."""
        return _EPOCH + timedelta(minutes=self.instant_us // _MINUTE_US)


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A stretch of a segment: bytes `start` to `end`, the requests in it, and how many records in it do not read."""

    segment_id: uuid.UUID
    worker_id: uuid.UUID
    columns: str
    start: int
    end: int
    requests: Sequence[SpooledRequest]
    torn_records: int
    is_last: bool

    @property
    def row_count(self) -> int:
        """How many rows its requests have."""
        return sum(request.row_count for request in self.requests)

    @property
    def days(self) -> set[Any]:
        """The UTC days whose partitions it needs."""
        return {request.minute.date() for request in self.requests}


@dataclass(frozen=True)
class Replayed:
    """What became of a chunk's rows: now in the log, there already, or of deployments that are no more."""

    rows: int
    already_stored: int
    dropped: int


def read_progress(session: Session, segment_id: uuid.UUID) -> int:
    """Return how many bytes of a segment are replayed."""
    found = _connection(session).execute("SELECT replayed_bytes FROM spool_segment WHERE id = %s", [segment_id])
    row = found.fetchone()
    return 0 if row is None else int(row[0])


def replay(session: Session, chunk: Chunk, now: datetime) -> Replayed | None:
    """Store a chunk's rows with counts, ledger, marks and progress; None when progress is elsewhere.

    Raises psycopg errors, also those of rows that PostgreSQL does not take: then nothing is stored.
    """
    connection = _connection(session)
    if not _claim(connection, chunk):
        return None
    known = _hold_deployments(connection, {request.deployment_id for request in chunk.requests})
    kept = [request for request in chunk.requests if uuid.UUID(request.deployment_id) in known]
    added = _add_rows(connection, chunk.columns, kept)
    _add_counts(connection, added)
    new = _per_minute((minute, rows) for _, minute, _, rows in added)
    present = _per_minute((request.minute, request.row_count) for request in kept)
    promised = _per_minute((request.minute, request.row_count) for request in chunk.requests)
    already = {minute: rows - new.get(minute, 0) for minute, rows in present.items()}
    dropped = {minute: rows - present.get(minute, 0) for minute, rows in promised.items()}
    _tell_ledger(connection, chunk.worker_id, promised, already, dropped)
    _mark(connection, {(deployment_id, minute) for deployment_id, minute, _, _ in added})
    replayed = Replayed(sum(new.values()), sum(already.values()), sum(dropped.values()))
    _advance(connection, chunk, replayed.rows + replayed.already_stored, replayed.already_stored, now)
    return replayed


def set_aside(session: Session, chunk: Chunk, now: datetime) -> None:
    """Pass over a chunk whose rows PostgreSQL does not take; they are in a file of their own."""
    connection = _connection(session)
    if _claim(connection, chunk):
        _advance(connection, chunk, 0, 0, now)
        connection.execute(
            "UPDATE spool_segment SET set_aside = set_aside + %s WHERE id = %s", [chunk.row_count, chunk.segment_id]
        )


def _connection(session: Session) -> psycopg.Connection:
    """Return the driver's connection: COPY and errors as psycopg knows them."""
    return cast("psycopg.Connection", session.connection().connection.driver_connection)


def _claim(connection: psycopg.Connection, chunk: Chunk) -> bool:
    """Lock the segment's progress; False when the chunk does not begin there."""
    connection.execute("SET LOCAL lock_timeout = '10s'")  # a connection that hangs may hold the counts: try later
    connection.execute(
        "INSERT INTO spool_segment (id, worker_id, replayed_bytes) VALUES (%s, %s, 0) ON CONFLICT (id) DO NOTHING",
        [chunk.segment_id, chunk.worker_id],
    )
    found = connection.execute(
        "SELECT replayed_bytes FROM spool_segment WHERE id = %s FOR UPDATE", [chunk.segment_id]
    ).fetchone()
    assert found is not None  # noqa: S101 - inserted above
    return int(found[0]) == chunk.start


def _hold_deployments(connection: psycopg.Connection, deployment_ids: set[str]) -> set[uuid.UUID]:
    """Return which deployments there are; their projects stay until the transaction ends."""
    found = connection.execute(
        "SELECT d.id FROM deployment d JOIN project p ON p.id = d.project_id "
        "WHERE d.id = ANY(%s::uuid[]) ORDER BY p.id FOR KEY SHARE OF p",
        [sorted(deployment_ids)],
    )
    return {row[0] for row in found}


def _add_rows(
    connection: psycopg.Connection, columns: str, requests: Sequence[SpooledRequest]
) -> list[tuple[uuid.UUID, datetime, int, int]]:
    """Add what the log does not have; return (deployment, minute, status, rows) of it, sorted."""
    if not requests:
        return []
    if not _COLUMN_LIST.fullmatch(columns):
        raise ValueError(f"not a list of columns: {columns!r}")
    connection.execute("CREATE TEMP TABLE arriving (LIKE inference_log) ON COMMIT DROP")
    with connection.cursor() as cursor, cursor.copy(f"COPY arriving ({columns}) FROM STDIN".encode()) as copy:
        copy.write(b"".join(request.lines for request in requests))
    statement = (
        f"WITH added AS (INSERT INTO inference_log ({columns}) SELECT {columns} FROM arriving "
        "ON CONFLICT DO NOTHING RETURNING deployment_id, created_at, status_code) "
        "SELECT deployment_id, date_trunc('minute', created_at, 'UTC'), status_code, count(*) FROM added "
        "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    return connection.execute(statement.encode()).fetchall()


def _add_counts(connection: psycopg.Connection, added: Sequence[tuple[uuid.UUID, datetime, int, int]]) -> None:
    if added:
        connection.execute(
            "INSERT INTO inference_count AS kept (deployment_id, minute, status_code, row_count) "
            "SELECT * FROM unnest(%s::uuid[], %s::timestamptz[], %s::smallint[], %s::bigint[]) "
            "ON CONFLICT (deployment_id, minute, status_code) "
            "DO UPDATE SET row_count = kept.row_count + excluded.row_count",
            [list(column) for column in zip(*added, strict=True)],
        )


def _tell_ledger(
    connection: psycopg.Connection, worker_id: uuid.UUID, promised: Minutes, already: Minutes, dropped: Minutes
) -> None:
    """Count rows as replayed; those found in the log had come by a batch, which counted them as stored.

    What a process that died had not told of its spool shows here, so `spooled` and `served` follow.
    """
    minutes = sorted(promised)
    if not minutes:
        return
    gone = [minute for minute in minutes if dropped[minute]]
    add_removed(connection, {minute: dropped[minute] for minute in gone})
    connection.execute(
        "INSERT INTO log_ledger AS kept (minute, worker_id, served, stored, spooled, replayed) "
        "SELECT minute, %s, rows, -already, rows, rows "
        "FROM unnest(%s::timestamptz[], %s::bigint[], %s::bigint[]) AS told (minute, rows, already) "
        "ON CONFLICT (minute, worker_id) DO UPDATE SET replayed = kept.replayed + excluded.replayed, "
        "stored = kept.stored + excluded.stored, spooled = greatest(kept.spooled, kept.replayed + excluded.replayed), "
        "served = greatest(kept.served, "
        "kept.stored + excluded.stored + kept.refused + kept.replayed + excluded.replayed)",
        [worker_id, minutes, [promised[minute] for minute in minutes], [already.get(m, 0) for m in minutes]],
    )


def add_removed(connection: psycopg.Connection, removed: Minutes) -> None:
    """Count rows that left the log, or that nobody wants any more, in the ledger."""
    if removed:
        connection.execute(
            "INSERT INTO log_ledger AS kept (minute, worker_id, removed) "
            "SELECT minute, %s, rows FROM unnest(%s::timestamptz[], %s::bigint[]) AS told (minute, rows) "
            "ON CONFLICT (minute, worker_id) DO UPDATE SET removed = kept.removed + excluded.removed",
            [REMOVER, sorted(removed), [removed[minute] for minute in sorted(removed)]],
        )


def _mark(connection: psycopg.Connection, slices: set[tuple[uuid.UUID, datetime]]) -> None:
    """Have the rollups of these minutes folded again."""
    if slices:
        ids, minutes = zip(*sorted(slices), strict=True)
        connection.execute(
            "INSERT INTO rollup_mark (deployment_id, minute) SELECT * FROM unnest(%s::uuid[], %s::timestamptz[])",
            [list(ids), list(minutes)],
        )


def _advance(connection: psycopg.Connection, chunk: Chunk, rows: int, already: int, now: datetime) -> None:
    connection.execute(
        "UPDATE spool_segment SET replayed_bytes = %s, rows = rows + %s, already_stored = already_stored + %s, "
        "torn_records = torn_records + %s, finished_at = %s WHERE id = %s",
        [chunk.end, rows, already, chunk.torn_records, now if chunk.is_last else None, chunk.segment_id],
    )


def _per_minute(pairs: Iterable[tuple[datetime, int]]) -> dict[datetime, int]:
    summed: Counter[datetime] = Counter()
    for minute, rows in pairs:
        summed[minute] += rows
    return dict(summed)
