"""Who waits for whom: callers that must not work on the same thing at once."""

import uuid

from sqlalchemy import text
from sqlmodel import Session

_FOLDING = 7_415_066_213  # any constant of ours


def take_folding_turn(session: Session) -> None:
    """Wait until no other transaction folds the log into rollups, or lets its rows go; hold the turn to the end."""
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _FOLDING})


def take_feedback_turn(session: Session, deployment_id: uuid.UUID) -> None:
    """Wait until no other transaction keeps feedback of a deployment, or lets its rows go; hold the turn to the end."""
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"feedback of {deployment_id}"}
    )
