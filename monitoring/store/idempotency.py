"""Answers remembered under a caller's Idempotency-Key, so that a repeated creation creates once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from monitoring.store.errors import Conflict
from monitoring.store.tables import IdempotentAnswer

REMEMBERED_FOR = timedelta(hours=24)
ABANDONED_AFTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Attempt:
    """One try at the work a key stands for; `started_at` is also its fencing token."""

    api_key_id: str
    key: str
    request_sha256: bytes
    started_at: datetime


@dataclass(frozen=True)
class GivenAnswer:
    """The first answer; `body` is None when it held a secret and was not kept."""

    status_code: int
    body: bytes | None


def begin(session: Session, attempt: Attempt) -> GivenAnswer | None:
    """Claim the key for this attempt and return None, or return the answer that was given before.

    Raises Conflict when the key was used for another request, or its first request is still running. A claim whose
    process died is taken over after ABANDONED_AFTER; should its holder live, `keep` refuses it.
    """
    session.execute(
        delete(IdempotentAnswer).where(
            col(IdempotentAnswer.api_key_id) == attempt.api_key_id,
            col(IdempotentAnswer.created_at) < attempt.started_at - REMEMBERED_FOR,
        )
    )
    claimed = insert(IdempotentAnswer).values(
        api_key_id=attempt.api_key_id,
        key=attempt.key,
        request_sha256=attempt.request_sha256,
        created_at=attempt.started_at,
    )
    if session.execute(claimed.on_conflict_do_nothing().returning(col(IdempotentAnswer.key))).first() is not None:
        return None
    found = session.exec(
        select(IdempotentAnswer)
        .where(IdempotentAnswer.api_key_id == attempt.api_key_id, IdempotentAnswer.key == attempt.key)
        .with_for_update()
    ).first()
    return _judge(session, attempt, found)


def _judge(session: Session, attempt: Attempt, found: IdempotentAnswer | None) -> GivenAnswer | None:
    if found is not None and found.request_sha256 != attempt.request_sha256:
        raise Conflict("This Idempotency-Key was used for another request: send a new key with a new request")
    if found is not None and found.status_code is not None:
        return GivenAnswer(found.status_code, found.body)
    if found is None or found.created_at > attempt.started_at - ABANDONED_AFTER:
        raise Conflict("The first request with this Idempotency-Key is still running: ask again in a moment")
    found.created_at = attempt.started_at
    session.add(found)
    session.flush()
    return None


def keep(session: Session, attempt: Attempt, answer: GivenAnswer) -> None:
    """Remember the answer in the transaction of the change. Raises Conflict when the claim was taken over meanwhile."""
    kept = session.execute(
        update(IdempotentAnswer)
        .where(*_held_by(attempt))
        .values(status_code=answer.status_code, body=answer.body)
        .returning(col(IdempotentAnswer.key))
    )
    if kept.first() is None:
        raise Conflict("This request ran so long that another with the same Idempotency-Key took its place")


def release(session: Session, attempt: Attempt) -> None:
    """Give the key back after a failure, so that the caller may try again with it."""
    session.execute(delete(IdempotentAnswer).where(*_held_by(attempt)))


def _held_by(attempt: Attempt) -> tuple[ColumnElement[bool], ...]:
    return (
        col(IdempotentAnswer.api_key_id) == attempt.api_key_id,
        col(IdempotentAnswer.key) == attempt.key,
        col(IdempotentAnswer.created_at) == attempt.started_at,
        col(IdempotentAnswer.status_code).is_(None),
    )
