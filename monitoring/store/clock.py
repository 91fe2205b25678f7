"""The clock of the watch: the database's, so that every process goes by the same."""

from datetime import datetime

from sqlmodel import Session, func, select


def read_now(session: Session) -> datetime:
    """Return the database's time now (not the transaction's start), aware and in UTC."""
    now: datetime = session.exec(select(func.clock_timestamp())).one()
    return now
