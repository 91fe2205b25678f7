"""Who waits for whom: callers that must not work on the same thing at once."""

import uuid

from sqlalchemy import text
from sqlmodel import Session

_FOLDING = 7_415_066_213  # any constant of ours


def take_folding_turn(session: Session, *, wait: bool) -> bool:
    """Be the one who folds the log into rollups, or lets its rows go, until the transaction ends.

    Where another is, return False at once unless it is to `wait`.
    """
    lock = "pg_advisory_xact_lock(:key) IS NOT NULL" if wait else "pg_try_advisory_xact_lock(:key)"
    return bool(session.execute(text(f"SELECT {lock}"), {"key": _FOLDING}).scalar_one())


def take_feedback_turn(session: Session, deployment_id: uuid.UUID) -> None:
    """Wait until no other transaction keeps feedback of a deployment, or lets its rows go; hold the turn to the end."""
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"feedback of {deployment_id}"}
    )
