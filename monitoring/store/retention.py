"""Letting log rows go once their days to keep have passed: wholly folded, exported as asked, accounted for."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import text
from sqlmodel import Session, col, func, select

from monitoring.store.ledger_tables import LogExport
from monitoring.store.partitions import partition_days
from monitoring.store.removing import (
    Held,
    count_left_over,
    count_miscounted,
    delete_rows,
    drop_partition,
    forget_rows,
    lock_partition,
    read_day,
)
from monitoring.store.rollup_due import unfolded
from monitoring.store.tables import Deployment, Project
from monitoring.windows import Window

_YOUNG_DAYS = 2  # an empty partition of yesterday may still be written to
_EXPIRED = text(
    "SELECT DISTINCT CAST(count.minute AT TIME ZONE 'UTC' AS date) AS day, project.id AS project_id "
    "FROM inference_count AS count JOIN deployment ON deployment.id = count.deployment_id "
    "JOIN project ON project.id = deployment.project_id WHERE count.minute < CAST(:today AS timestamptz)"
    " - coalesce(project.log_retention_days, :days) * interval '1 day' ORDER BY day, project_id"
)
_PARTITIONS = text(
    "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
    " WHERE inhparent = CAST('inference_log' AS regclass)"
)
_IS_COUNTED = text(
    "SELECT EXISTS (SELECT FROM inference_count WHERE minute >= :start AND minute < CAST(:start AS timestamptz)"
    " + interval '1 day')"
)


class DayKept(RuntimeError):
    """Why the rows of a day stay for now."""


@dataclass(frozen=True)
class ExpiredDay:
    """A UTC day of the log and the projects whose days to keep it has passed; none: nobody has rows in it."""

    day: date
    project_ids: list[uuid.UUID] = field(default_factory=list)


@dataclass(frozen=True)
class Export:
    """A file of a project's day that was read back, as `log_archive.Archived` tells of it."""

    project_id: uuid.UUID
    part: int
    address: str
    rows: int
    sha256: str
    fingerprint: int


@dataclass(frozen=True)
class LetGo:
    """What left the log: rows, and whether the day's partition went as a whole."""

    rows: int = 0
    is_dropped: bool = False


def expired_days(session: Session, *, default_days: int, now: datetime) -> list[ExpiredDay]:
    """Return the days of which rows may go, oldest first, and those whose partition is empty.

    A day may go when the days to keep have passed since its end: those of the project, else `default_days` (0: never).
    """
    today = now.astimezone(UTC).date()
    by_day: dict[date, list[uuid.UUID]] = {}
    for row in session.execute(_EXPIRED, {"today": _midnight(today), "days": default_days or None}):
        by_day.setdefault(row.day, []).append(row.project_id)
    for day in partition_days(session.execute(_PARTITIONS).scalars()):
        if day < today - timedelta(days=_YOUNG_DAYS) and day not in by_day and not _is_counted(session, day):
            by_day[day] = []
    return [ExpiredDay(day, by_day[day]) for day in sorted(by_day)]


def project_deployments(session: Session, project_id: uuid.UUID) -> list[uuid.UUID]:
    """Return every deployment of a project, archived ones too."""
    return list(session.exec(select(Deployment.id).where(Deployment.project_id == project_id)))


def window_of(day: date) -> Window:
    """Return a UTC day as a window."""
    return Window(_midnight(day), _midnight(day + timedelta(days=1)))


def check_folded(session: Session, deployment_ids: Sequence[uuid.UUID], day: date) -> None:
    """Raise DayKept unless the rollups hold all that the log has of a day."""
    minutes = unfolded(session, deployment_ids, window_of(day))
    if minutes:
        raise DayKept(f"{minutes:,} minutes of {day} are not folded into the rollups")


def unfolded_deployments(session: Session, expired: ExpiredDay) -> list[uuid.UUID]:
    """Return the deployments of which the rollups do not hold all that the log has of a day."""
    window = window_of(expired.day)
    return [
        deployment_id
        for project_id in expired.project_ids
        for deployment_id in project_deployments(session, project_id)
        if unfolded(session, [deployment_id], window)
    ]


def next_part(session: Session, project_id: uuid.UUID, day: date) -> int:
    """Return the number of the next file of a project's day: above 1 when rows came after the day had been let go."""
    last = select(func.max(LogExport.part)).where(LogExport.project_id == project_id, LogExport.day == day)
    return (session.exec(last).one() or 0) + 1


def let_go(
    session: Session,
    expired: ExpiredDay,
    *,
    exports: Sequence[Export] | None,
    default_days: int,
    now: datetime,
) -> LetGo:
    """Take a day's expired rows out of the log, with their counts and feedback; the rollups stay.

    The partition is dropped when nobody else has rows in it. Rows of projects that are no more go too. With `exports`
    (None: none wanted) only rows that are exactly those of the files may go. Raises DayKept: then nothing has changed
    once the caller's transaction is rolled back. Raises OperationalError for locks that were not to be had in time.
    """
    day = expired.day
    if not lock_partition(session, day):
        if _is_counted(session, day):
            raise DayKept(f"Rows of {day} were counted, but the log has no partition for them")
        return LetGo()
    held = read_day(session, day, fingerprints=bool(exports))
    owners = _owners(session, set(held), expired, default_days=default_days, now=now)
    projects = {owner for owner in owners.values() if owner is not None}
    theirs = [one for project_id in sorted(projects) for one in project_deployments(session, project_id)]
    check_folded(session, theirs, day)
    _check_counts(session, theirs, day)
    if exports is not None:
        _check_exports({one: rows for one, rows in held.items() if owners.get(one)}, owners, exports, day)
        _record(session, [one for one in exports if one.project_id in projects], day, now)
    leaving = sorted({*theirs, *owners})
    _remove(session, leaving, day, whole=held.keys() <= owners.keys())
    return LetGo(sum(held[one].rows for one in owners), held.keys() <= owners.keys())


def _remove(session: Session, leaving: Sequence[uuid.UUID], day: date, *, whole: bool) -> None:
    forget_rows(session, leaving, day)
    if whole:
        drop_partition(session, leaving, day)
    elif leaving:
        delete_rows(session, leaving, day)
    if count_left_over(session, leaving, day):
        raise DayKept(f"Feedback to rows of {day} came while they were let go")


def _owners(
    session: Session, deployment_ids: set[uuid.UUID], expired: ExpiredDay, *, default_days: int, now: datetime
) -> dict[uuid.UUID, uuid.UUID | None]:
    """Return those deployments with rows whose rows may go, with their project; None: it has been removed."""
    asked = (
        select(Deployment.id, Project.id, Project.log_retention_days)
        .join(Project, col(Project.id) == col(Deployment.project_id))
        .where(col(Deployment.id).in_(deployment_ids))
    )
    found = {one: (project_id, days or default_days) for one, project_id, days in session.exec(asked)}
    past = (now.astimezone(UTC).date() - expired.day).days - 1  # whole days since the end of the day
    may_go = {
        one: project_id
        for one, (project_id, days) in found.items()
        if project_id in expired.project_ids and 0 < days <= past
    }
    return {**may_go, **dict.fromkeys(deployment_ids - found.keys())}


def _check_counts(session: Session, deployment_ids: Sequence[uuid.UUID], day: date) -> None:
    minutes = count_miscounted(session, deployment_ids, day)
    if minutes:
        raise DayKept(f"In {minutes:,} minutes of {day} the log has not the rows that were counted")


def _check_exports(
    held: Mapping[uuid.UUID, Held],
    owners: Mapping[uuid.UUID, uuid.UUID | None],
    exports: Sequence[Export],
    day: date,
) -> None:
    exported = {one.project_id: (one.rows, one.fingerprint) for one in exports}
    totals: dict[uuid.UUID, tuple[int, int]] = {}
    for deployment_id, its in held.items():
        project_id = owners[deployment_id]
        if project_id is not None:
            rows, total = totals.get(project_id, (0, 0))
            totals[project_id] = (rows + its.rows, total + its.fingerprint)
    for project_id, there in totals.items():
        if exported.get(project_id) != there:
            raise DayKept(f"The rows of project {project_id} on {day} are not those that were exported")


def _record(session: Session, exports: Sequence[Export], day: date, now: datetime) -> None:
    for one in exports:
        session.add(
            LogExport(
                project_id=one.project_id,
                day=day,
                part=one.part,
                address=one.address,
                rows=one.rows,
                sha256=one.sha256,
                exported_at=now,
            )
        )
    session.flush()


def _is_counted(session: Session, day: date) -> bool:
    return bool(session.execute(_IS_COUNTED, {"start": _midnight(day)}).scalar_one())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
