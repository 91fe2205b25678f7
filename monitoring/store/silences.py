"""Silences: add, find, list, change and remove."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from monitoring.store.alert_tables import Silence
from monitoring.store.errors import NotFound
from monitoring.store.pages import Page, read_page


@dataclass(frozen=True)
class SilenceTerms:
    """What is silenced, and from when to when."""

    matchers: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    comment: str


def add_silence(
    session: Session, project_id: uuid.UUID, terms: SilenceTerms, *, now: datetime, created_by: str
) -> Silence:
    """Store a new silence."""
    row = Silence(
        project_id=project_id,
        matchers=terms.matchers,
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
        comment=terms.comment,
        created_by=created_by,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def find_silence(session: Session, project_id: uuid.UUID, silence_id: uuid.UUID, *, lock: bool = False) -> Silence:
    """Return a silence of the project, locked until the transaction ends if asked for. Raises NotFound."""
    wanted = select(Silence).where(Silence.id == silence_id, Silence.project_id == project_id)
    row = session.exec(wanted.with_for_update() if lock else wanted).first()
    if row is None:
        raise NotFound("silence", silence_id)
    return row


def list_silences(session: Session, project_id: uuid.UUID, page: Page) -> tuple[list[Silence], int]:
    """Return a page of a project's silences, newest first, and how many there are."""
    order = (col(Silence.created_at).desc(), col(Silence.id).desc())
    return read_page(session, Silence, [col(Silence.project_id) == project_id], order, page)


def change_silence(session: Session, row: Silence, terms: SilenceTerms) -> None:
    """Store new terms of a locked silence."""
    row.matchers, row.starts_at, row.ends_at, row.comment = (
        terms.matchers,
        terms.starts_at,
        terms.ends_at,
        terms.comment,
    )
    session.add(row)
    session.flush()


def remove_silence(session: Session, row: Silence) -> None:
    """Remove a locked silence; what it covered is told again from the next evaluation on."""
    session.delete(row)
    session.flush()
