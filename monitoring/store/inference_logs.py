"""Reading the inference log page by page, newest first.

Totals come from the counts per minute that are kept beside the log; only the two cut-off minutes at the ends of a time
range are counted row by row. The same counts tell in which minutes a page lies, so that an offset of millions costs one
scan of those minutes.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

_MINUTE = timedelta(minutes=1)
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_COLUMNS = (
    "id, deployment_id, request_id, status_code, latency_ms, inputs::text AS inputs, "
    "prediction, score, probabilities, error, created_at, privacy_version_id, privacy_error"
)


@dataclass(frozen=True)
class LogFilter:
    """Which rows: of one deployment, created strictly after `since` and before `until`, of one status."""

    deployment_id: uuid.UUID
    since: datetime | None = None
    until: datetime | None = None
    status_code: int | None = None


@dataclass(frozen=True)
class LogRow:
    """One log row; `inputs` is JSON text as stored, masked by the rule set that `privacy_version_id` names."""

    id: uuid.UUID
    deployment_id: uuid.UUID
    request_id: uuid.UUID
    status_code: int
    latency_ms: float
    inputs: str | None
    prediction: str | None
    score: float | None
    probabilities: list[float] | None
    error: str | None
    created_at: datetime
    privacy_version_id: uuid.UUID | None
    privacy_error: str | None


@dataclass(frozen=True)
class Piece:
    """A stretch of time [start, end) with its number of rows and how many newer rows of the range precede them."""

    start: datetime
    end: datetime
    rows: int
    before: int


@dataclass(frozen=True)
class Ends:
    """A time range cut at whole minutes, newest part first; each part is [start, end)."""

    newest: tuple[datetime, datetime]
    minutes: tuple[datetime, datetime]
    oldest: tuple[datetime, datetime]


def cut_at_minutes(since: datetime | None, until: datetime | None) -> Ends:
    """Cut the range of instants strictly between `since` and `until` (to the microsecond) at whole minutes."""
    start = max(_FIRST, min(_LAST, since).astimezone(UTC) + timedelta(microseconds=1)) if since else _FIRST
    end = max(_FIRST, min(_LAST, until)).astimezone(UTC) if until else _LAST
    first, last = _floor_minute(start + _MINUTE - timedelta(microseconds=1)), _floor_minute(end)
    if first > last:
        return Ends(newest=(start, max(start, end)), minutes=(start, start), oldest=(start, start))
    return Ends(newest=(last, end), minutes=(first, last), oldest=(start, first))


def _floor_minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def read_page(session: Session, wanted: LogFilter, *, limit: int, offset: int) -> tuple[list[LogRow], int]:
    """Return a page, newest first, and the exact number of rows the filter matches, both as of one instant."""
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    ends = cut_at_minutes(wanted.since, wanted.until)
    newest = Piece(*ends.newest, _count_rows(session, wanted, ends.newest), 0)
    middle = _sum_minutes(session, wanted, ends.minutes)
    oldest = Piece(*ends.oldest, _count_rows(session, wanted, ends.oldest), newest.rows + middle)
    minutes = _find_minutes(session, wanted, ends.minutes, (offset - newest.rows, offset - newest.rows + limit))
    pieces = [
        piece
        for piece in (
            newest,
            *(Piece(start, end, rows, before + newest.rows) for start, end, rows, before in minutes),
            oldest,
        )
        if piece.rows and piece.before < offset + limit and piece.before + piece.rows > offset
    ]
    return _read_rows(session, wanted, pieces, limit=limit, offset=offset), newest.rows + middle + oldest.rows


def _conditions(wanted: LogFilter, time_column: str) -> str:
    of_status = "" if wanted.status_code is None else "AND status_code = :status_code "
    return f"deployment_id = :deployment_id AND {time_column} >= :start AND {time_column} < :end {of_status}"


def _parameters(wanted: LogFilter, start: datetime, end: datetime) -> dict[str, Any]:
    of_status = {} if wanted.status_code is None else {"status_code": wanted.status_code}
    return {"deployment_id": wanted.deployment_id, "start": start, "end": end} | of_status


def _count_rows(session: Session, wanted: LogFilter, part: tuple[datetime, datetime]) -> int:
    if part[0] >= part[1]:
        return 0
    counted = text(f"SELECT count(*) FROM inference_log WHERE {_conditions(wanted, 'created_at')}")
    return int(session.execute(counted, _parameters(wanted, *part)).scalar_one())


def _sum_minutes(session: Session, wanted: LogFilter, part: tuple[datetime, datetime]) -> int:
    summed = text(f"SELECT coalesce(sum(row_count), 0) FROM inference_count WHERE {_conditions(wanted, 'minute')}")
    return int(session.execute(summed, _parameters(wanted, *part)).scalar_one())


def _find_minutes(
    session: Session, wanted: LogFilter, part: tuple[datetime, datetime], rows: tuple[int, int]
) -> Iterator[tuple[datetime, datetime, int, int]]:
    """Yield (start, end, rows, rows before) of the minutes that hold the given rows of the part, newest first.

    A minute that is counted has a row, so no more minutes than rows need looking at.
    """
    if rows[1] <= 0:
        return
    found = session.execute(
        text(
            "SELECT minute, in_minute, upto - in_minute FROM ("
            " SELECT minute, in_minute, sum(in_minute) OVER (ORDER BY minute DESC)::bigint AS upto FROM ("
            "  SELECT minute, sum(row_count)::bigint AS in_minute FROM inference_count"
            f" WHERE {_conditions(wanted, 'minute')} GROUP BY minute ORDER BY minute DESC LIMIT :last_row"
            " ) AS counted ) AS running WHERE upto > :first_row AND upto - in_minute < :last_row ORDER BY minute DESC"
        ),
        _parameters(wanted, *part) | {"first_row": rows[0], "last_row": rows[1]},
    )
    for minute, in_minute, before in found:
        yield minute, minute + _MINUTE, in_minute, before


def _read_rows(
    session: Session, wanted: LogFilter, pieces: Sequence[Piece], *, limit: int, offset: int
) -> list[LogRow]:
    if not pieces:
        return []
    page = {"limit": limit, "skip": offset - pieces[0].before}
    if wanted.status_code is None:
        query = (
            f"SELECT {_COLUMNS} FROM inference_log WHERE {_conditions(wanted, 'created_at')}"
            "ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :skip"
        )
        parameters = _parameters(wanted, pieces[-1].start, pieces[0].end)
    else:  # rows of one status may lie far apart: look into their minutes only
        query = (
            f"SELECT {_COLUMNS} "
            "FROM unnest(CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[])) AS piece(s, e) "
            "CROSS JOIN LATERAL (SELECT * FROM inference_log WHERE deployment_id = :deployment_id"
            " AND created_at >= piece.s AND created_at < piece.e AND status_code = :status_code"
            " OFFSET 0) AS rows_of_piece "  # a fence: the planner would otherwise read the whole log
            "ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :skip"
        )
        parameters = {
            "deployment_id": wanted.deployment_id,
            "status_code": wanted.status_code,
            "starts": [piece.start for piece in pieces],
            "ends": [piece.end for piece in pieces],
        }
    rows = session.execute(text(query), parameters | page).mappings()
    return [LogRow(**row) for row in rows]
