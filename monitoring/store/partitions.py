"""Daily partitions of the inference log."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session


def partition_name(day: date) -> str:
    """Return the table name of a UTC day's partition."""
    return f"inference_log_{day:%Y%m%d}"


def ensure_partitions(session: Session, *, now: datetime, days_back: int = 1, days_ahead: int = 3) -> None:
    """Create the partitions from `days_back` before to `days_ahead` after the UTC day of `now`, where missing."""
    today = now.astimezone(UTC).date()
    for offset in range(-days_back, days_ahead + 1):
        create_partition(session, today + timedelta(days=offset))


def create_partition(session: Session, day: date) -> None:
    """Create one UTC day's partition unless it exists."""
    name = partition_name(day)
    if session.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar() is not None:
        return
    session.execute(
        text(
            f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF inference_log "
            f"FOR VALUES FROM ('{day:%Y-%m-%d} 00:00:00+00') TO ('{day + timedelta(days=1):%Y-%m-%d} 00:00:00+00')"
        )
    )
