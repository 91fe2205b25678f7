"""The clock of the watch: the database's, one for every process that evaluates and delivers."""

from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session


def database_time(session: Session) -> datetime:
    """Return the database's time now, also late in a long transaction."""
    found: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found
