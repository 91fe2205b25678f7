"""Telling every process that something it may remember has changed (LISTEN/NOTIFY)."""

from typing import Literal

from sqlalchemy import text
from sqlmodel import Session

CHANNEL = "pilothouse"
Changed = Literal["deployment", "project", "key", "change"]


def announce(session: Session, kind: Changed, identifier: object) -> None:
    """Send `<kind>:<identifier>` to all listeners when, and only when, this transaction commits."""
    session.execute(
        text("SELECT pg_notify(:channel, :payload)"), {"channel": CHANNEL, "payload": f"{kind}:{identifier}"}
    )
