"""Daily partitions of the inference log."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

_ADVISORY_LOCK = 7_415_066_212  # any constant of ours; two processes create partitions one after the other


def partition_name(day: date) -> str:
    """Return the table name of a UTC day's partition."""
    return f"inference_log_{day:%Y%m%d}"


def partition_days(names: Iterable[str]) -> list[date]:
    """Return the days of the tables that are named as partitions, in order."""
    found = (re.fullmatch(r"inference_log_(\d{4})(\d\d)(\d\d)", name) for name in names)
    return sorted(date(int(each[1]), int(each[2]), int(each[3])) for each in found if each)


def ensure_partitions(session: Session, *, now: datetime, days_back: int = 1, days_ahead: int = 3) -> None:
    """Create the partitions from `days_back` before to `days_ahead` after the UTC day of `now`, where missing."""
    today = now.astimezone(UTC).date()
    for offset in range(-days_back, days_ahead + 1):
        create_partition(session, today + timedelta(days=offset))


def create_partition(session: Session, day: date) -> None:
    """Create one UTC day's partition unless it exists.

    It is made aside and then attached: CREATE TABLE ... PARTITION OF would lock the whole log against reading, and wait
    for every long read while all writers wait behind it.
    """
    if _exists(session, day):
        return
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    if _exists(session, day):
        return
    name = partition_name(day)
    session.execute(text(f"CREATE TABLE {name} (LIKE inference_log INCLUDING ALL)"))
    session.execute(
        text(
            f"ALTER TABLE inference_log ATTACH PARTITION {name} "
            f"FOR VALUES FROM ('{day:%Y-%m-%d} 00:00:00+00') TO ('{day + timedelta(days=1):%Y-%m-%d} 00:00:00+00')"
        )
    )


def _exists(session: Session, day: date) -> bool:
    return session.execute(text("SELECT to_regclass(:name)"), {"name": partition_name(day)}).scalar() is not None
