"""Which minutes of the log are to be folded into rollups. Light: it loads neither Polars nor ADBC."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

from monitoring.windows import Window

MINUTE = timedelta(minutes=1)
CLOSES_AFTER = timedelta(seconds=2)
COMPARED = timedelta(hours=2)
IDLE = timedelta(days=7)
MINUTES_KEPT = timedelta(days=35)
_MOST_MARKS = 20_000

# A deployment's counts are looked up by their key: what comes after `folded_until`, and what was folded lately, to
# compare, unless that was long ago: deployments that nobody calls any more cost nothing. A clock that was ahead leaves
# `folded_until` ahead: then all from a little before now is compared.
_UNFOLDED = """
    SELECT deployment.id AS deployment_id, counted.minute, counted.log_rows
    FROM deployment LEFT JOIN rollup_progress AS progress ON progress.deployment_id = deployment.id
    CROSS JOIN LATERAL (
        (SELECT minute, sum(row_count)::bigint AS log_rows FROM inference_count
         WHERE deployment_id = deployment.id AND minute < :closed
           AND minute >= coalesce(progress.folded_until, '-infinity')
         GROUP BY minute ORDER BY minute LIMIT :limit)
        UNION ALL
        (SELECT minute, sum(row_count)::bigint AS log_rows FROM inference_count
         WHERE deployment_id = deployment.id AND minute < :closed AND minute < progress.folded_until
           AND minute >= least(progress.folded_until, :closed) - CAST(:compared AS interval)
           AND progress.folded_until > :closed - CAST(:idle AS interval)
         GROUP BY minute)
    ) AS counted
    LEFT JOIN rollup ON rollup.deployment_id = deployment.id AND rollup.minutes = 1 AND rollup.start = counted.minute
    WHERE deployment.id <> ALL(CAST(:left_out AS uuid[]))
      AND (progress.folded_until IS NULL OR counted.minute >= progress.folded_until
           OR rollup.log_rows < counted.log_rows OR (rollup.log_rows IS NULL AND counted.minute >= :kept_from))
    ORDER BY deployment.id, counted.minute LIMIT :limit
"""
# Minutes of an hour of which only the hour's slice is left are folded with all of that hour.
_MARKS = """
    SELECT mark.deployment_id, mark.ids, counted.minutes, counted.log_rows
    FROM (SELECT deployment_id, minute, array_agg(id) AS ids
          FROM (SELECT id, deployment_id, minute FROM rollup_mark WHERE minute < :closed
                AND deployment_id <> ALL(CAST(:left_out AS uuid[])) ORDER BY id LIMIT :limit) AS oldest
          GROUP BY deployment_id, minute ORDER BY min(id)) AS mark
    CROSS JOIN LATERAL (
        SELECT array_agg(minute) AS minutes, array_agg(log_rows) AS log_rows FROM (
            SELECT minute, sum(row_count)::bigint AS log_rows FROM inference_count
            WHERE deployment_id = mark.deployment_id
              AND minute >= CASE WHEN mark.minute < :kept_from THEN date_trunc('hour', mark.minute, 'UTC')
                                 ELSE mark.minute END
              AND minute < CASE WHEN mark.minute < :kept_from
                                THEN date_trunc('hour', mark.minute, 'UTC') + interval '1 hour'
                                ELSE mark.minute + interval '1 minute' END
            GROUP BY minute) AS its
    ) AS counted
"""
_COUNTED = """
    SELECT minute, sum(row_count)::bigint AS log_rows FROM inference_count
    WHERE deployment_id = :deployment_id AND minute >= :start AND minute < :end GROUP BY minute ORDER BY minute
"""
_OPEN = """
    SELECT (SELECT count(*) FROM (
        SELECT deployment_id, minute, sum(row_count) AS log_rows,
               sum(sum(row_count)) OVER (PARTITION BY deployment_id, date_trunc('hour', minute, 'UTC')) AS of_hour
        FROM inference_count
        WHERE deployment_id = ANY(CAST(:deployment_ids AS uuid[])) AND minute >= :start AND minute < :end
        GROUP BY deployment_id, minute) AS counted
      LEFT JOIN rollup AS slice ON slice.deployment_id = counted.deployment_id AND slice.minutes = 1
        AND slice.start = counted.minute
      LEFT JOIN rollup AS hour ON hour.deployment_id = counted.deployment_id AND hour.minutes = 60
        AND hour.start = date_trunc('hour', counted.minute, 'UTC')
      WHERE slice.log_rows < counted.log_rows
         OR (slice.log_rows IS NULL AND (hour.log_rows IS NULL OR hour.log_rows < counted.of_hour)))
    + (SELECT count(DISTINCT (deployment_id, minute)) FROM rollup_mark
       WHERE deployment_id = ANY(CAST(:deployment_ids AS uuid[])) AND minute >= :start AND minute < :end)
"""


@dataclass
class Due:
    """Minutes to fold, by deployment.

    `reached`: every minute before it that has rows is then folded. `marks`: ids of those settled. `is_all`: no other
    minutes are due.
    """

    minutes: dict[uuid.UUID, set[datetime]] = field(default_factory=dict)
    reached: dict[uuid.UUID, datetime] = field(default_factory=dict)
    marks: dict[uuid.UUID, list[int]] = field(default_factory=dict)
    is_all: bool = True
    rows: int = 0
    taken: int = 0

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing to do."""
        return not self.minutes and not self.marks

    def take(self, deployment_id: uuid.UUID, minutes: Mapping[datetime, int], bounds: "Bounds") -> bool:
        """Take minutes, each with its rows, unless that would be too much; return whether they are taken."""
        its = self.minutes.get(deployment_id, set())
        new = {minute: rows for minute, rows in minutes.items() if minute not in its}
        rows = self.rows + sum(new.values())
        if new and self.taken and (rows > bounds.rows or self.taken >= bounds.minutes):
            self.is_all = False
            return False
        if new:
            self.minutes.setdefault(deployment_id, set()).update(new)
            self.rows, self.taken = rows, self.taken + len(new)
        return True


@dataclass(frozen=True)
class Bounds:
    """How much is folded in one transaction, beyond its first minute."""

    rows: int = 100_000
    minutes: int = 300


def closed_until(now: datetime) -> datetime:
    """Return the minute before which all are closed: 2 s after its end a minute is."""
    return (now.astimezone(UTC) - CLOSES_AFTER).replace(second=0, microsecond=0)


def minutes_kept_from(now: datetime) -> datetime:
    """Return the hour before which only the slices of hours are kept."""
    return (now.astimezone(UTC) - MINUTES_KEPT).replace(minute=0, second=0, microsecond=0)


def find_due(session: Session, *, now: datetime, bounds: Bounds, left_out: Collection[uuid.UUID] = ()) -> Due:
    """Return the minutes to fold next: those never folded, or with more rows than then, and the marked ones."""
    limit = bounds.minutes + 1
    given = {"closed": closed_until(now), "kept_from": minutes_kept_from(now), "left_out": list(left_out)}
    due = Due()
    for found in session.execute(text(_UNFOLDED), given | {"compared": COMPARED, "idle": IDLE, "limit": limit}):
        if not due.take(found.deployment_id, {found.minute: found.log_rows}, bounds):
            break
        due.reached[found.deployment_id] = found.minute + MINUTE
    seen = 0
    for mark in session.execute(text(_MARKS), given | {"limit": _MOST_MARKS}):
        seen += len(mark.ids)
        minutes = dict(zip(mark.minutes or (), mark.log_rows or (), strict=True))
        if due.take(mark.deployment_id, minutes, bounds):
            due.marks.setdefault(mark.deployment_id, []).extend(mark.ids)
    due.is_all = due.is_all and seen < _MOST_MARKS
    return due


def minutes_with_rows(session: Session, deployment_id: uuid.UUID, window: Window) -> dict[datetime, int]:
    """Return the minutes that begin in the window and have rows in the log, oldest first, each with how many."""
    given = {"deployment_id": deployment_id, "start": window.start, "end": window.end}
    return {row.minute: row.log_rows for row in session.execute(text(_COUNTED), given)}


def unfolded(session: Session, deployment_ids: Sequence[uuid.UUID], window: Window) -> int:
    """Return how many minutes of a window of whole hours have rows that are not folded, or are marked.

    A slice that has more rows than the log is no such minute: those rows went, and it keeps them, not what came later.
    """
    given = {"deployment_ids": list(deployment_ids), "start": window.start, "end": window.end}
    return int(session.execute(text(_OPEN), given).scalar_one())
