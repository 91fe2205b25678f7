"""Slices put in the place of what was folded before, the hours they belong to, and how far folding has come."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from monitoring.folding import HOUR, floor_hour
from monitoring.profile import Profile
from monitoring.store.rollup_due import minutes_kept_from
from monitoring.store.rollup_rows import COLUMNS, Slice, add_up, encode
from monitoring.store.rollup_tables import Rollup

_REACHED = text("""
    INSERT INTO rollup_progress AS kept (deployment_id, folded_until)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:reached AS timestamptz[]))
    ON CONFLICT (deployment_id) DO UPDATE SET folded_until = greatest(kept.folded_until, excluded.folded_until)
""")
_PROGRESS = text(
    "SELECT deployment_id, folded_until FROM rollup_progress WHERE deployment_id = ANY(CAST(:ids AS uuid[]))"
)
_OF_HOURS = text(f"""
    SELECT hour.deployment_id, hour.start AS hour, {COLUMNS}
    FROM unnest(CAST(:ids AS uuid[]), CAST(:hours AS timestamptz[])) AS hour(deployment_id, start)
    JOIN rollup AS slice ON slice.deployment_id = hour.deployment_id AND slice.minutes = 1
     AND slice.start >= hour.start AND slice.start < hour.start + interval '1 hour'
    ORDER BY hour.deployment_id, slice.start
""")
_FORGET = text("""
    DELETE FROM rollup AS slice
    WHERE slice.deployment_id = ANY(CAST(:ids AS uuid[])) AND slice.minutes = 1 AND slice.start < :kept_from
      AND EXISTS (SELECT FROM rollup AS hour WHERE hour.deployment_id = slice.deployment_id AND hour.minutes = 60
                  AND hour.start = date_trunc('hour', slice.start, 'UTC'))
""")
_KEY = ("deployment_id", "minutes", "start")


@dataclass(frozen=True)
class Progress:
    """How far folding had come before, and how far it has come."""

    before: Mapping[uuid.UUID, datetime]
    after: Mapping[uuid.UUID, datetime]


def put_slices(session: Session, slices: Sequence[Slice]) -> None:
    """Store slices in the place of earlier ones; one that has lost rows since (they went by age) leaves those alone."""
    if not slices:
        return
    table: Table = Rollup.__table__  # type: ignore[attr-defined]
    statement = insert(table)
    put = {name: statement.excluded[name] for name in Rollup.model_fields if name not in _KEY}
    kept = table.c.log_rows <= statement.excluded.log_rows
    rows = [vars(one) for one in sorted(slices, key=lambda one: (one.deployment_id, one.minutes, one.start))]
    session.execute(statement.on_conflict_do_update(index_elements=_KEY, set_=put, where=kept), rows)


def move_progress(session: Session, reached: Mapping[uuid.UUID, datetime], touched: Collection[uuid.UUID]) -> Progress:
    """Record how far deployments are folded now, never less far than before."""
    before = _read_progress(session, touched)
    if reached:
        session.execute(_REACHED, {"ids": list(reached), "reached": list(reached.values())})
    return Progress(before, _read_progress(session, touched))


def _read_progress(session: Session, deployment_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, datetime]:
    return {row.deployment_id: row.folded_until for row in session.execute(_PROGRESS, {"ids": list(deployment_ids)})}


def refresh_hours(
    session: Session,
    folded: Mapping[uuid.UUID, Collection[datetime]],
    progress: Progress,
    profiles: Mapping[uuid.UUID, Profile | None],
    *,
    now: datetime,
) -> None:
    """Add up every complete hour that has a minute just folded, or was the one folding had come to.

    Then let the minutes go that only their hours are kept of.
    """
    hours = [(one, hour) for one, minutes in folded.items() for hour in _complete(one, minutes, progress)]
    if not hours:
        return
    given = {"ids": [one for one, _ in hours], "hours": [hour for _, hour in hours]}
    of_hour: dict[tuple[uuid.UUID, datetime], list[Any]] = defaultdict(list)
    for row in session.execute(_OF_HOURS, given):
        of_hour[row.deployment_id, row.hour].append(row)
    put_slices(
        session,
        [encode(one, 60, hour, add_up(rows, profiles[one]), folded_at=now) for (one, hour), rows in of_hour.items()],
    )
    session.execute(_FORGET, {"ids": list({one for one, _ in hours}), "kept_from": minutes_kept_from(now)})


def _complete(deployment_id: uuid.UUID, minutes: Collection[datetime], progress: Progress) -> set[datetime]:
    until = progress.after.get(deployment_id)
    if until is None:
        return set()
    hours = {floor_hour(minute) for minute in minutes}
    if deployment_id in progress.before:
        hours.add(floor_hour(progress.before[deployment_id] - timedelta(microseconds=1)))
    return {hour for hour in hours if hour + HOUR <= until}
