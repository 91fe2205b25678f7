"""Channels: add, find, list, change and remove. What a `config` may hold is the caller's to check."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from monitoring.store.alert_tables import AlertRule, Channel, Delivery
from monitoring.store.errors import Conflict, NotFound
from monitoring.store.pages import Page, read_page


@dataclass(frozen=True)
class ChannelFacts:
    """What a caller says of a channel; `config` is checked and whole, secrets included."""

    name: str
    type: str
    config: dict[str, Any]
    is_enabled: bool


def add_channel(session: Session, project_id: uuid.UUID, facts: ChannelFacts, *, now: datetime) -> Channel:
    """Store a new channel. Raises Conflict when the project has one of this name."""
    _refuse_taken_name(session, project_id, facts.name)
    row = Channel(
        project_id=project_id,
        name=facts.name,
        type=facts.type,
        config=facts.config,
        is_enabled=facts.is_enabled,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    session.flush()
    return row


def find_channel(session: Session, channel_id: uuid.UUID) -> Channel:
    """Return a channel. Raises NotFound."""
    row = session.get(Channel, channel_id)
    if row is None:
        raise NotFound("channel", channel_id)
    return row


def lock_channel(session: Session, channel_id: uuid.UUID) -> Channel:
    """Return a channel that nothing changes, removes or takes into use until the transaction ends. Raises NotFound."""
    row = session.exec(
        select(Channel).where(Channel.id == channel_id).with_for_update().execution_options(populate_existing=True)
    ).first()
    if row is None:
        raise NotFound("channel", channel_id)
    return row


def list_channels(session: Session, project_id: uuid.UUID, page: Page) -> tuple[list[Channel], int]:
    """Return a page of a project's channels, newest first, and how many there are."""
    order = (col(Channel.created_at).desc(), col(Channel.id).desc())
    return read_page(session, Channel, [col(Channel.project_id) == project_id], order, page)


def change_channel(session: Session, row: Channel, facts: ChannelFacts, *, now: datetime) -> None:
    """Store what is now said of a locked channel; its type stays. Raises Conflict when the name is another's."""
    if facts.name != row.name:
        _refuse_taken_name(session, row.project_id, facts.name)
    row.name, row.config, row.is_enabled, row.updated_at = facts.name, facts.config, facts.is_enabled, now
    session.add(row)
    session.flush()


def remove_channel(session: Session, row: Channel) -> None:
    """Remove a locked channel; what still waits to go to it fails. Raises Conflict while a rule names it."""
    rules = session.exec(select(AlertRule.name).where(col(AlertRule.channels).contains([row.id])).limit(3)).all()
    if rules:
        names = ", ".join(repr(name) for name in rules)
        raise Conflict(f"Channel {row.name!r} is used by alert rules ({names}): take it out of them first")
    session.execute(
        update(Delivery)
        .where(col(Delivery.channel_id) == row.id, col(Delivery.state) == "pending")
        .values(state="failed", response="The channel was removed")
    )
    session.delete(row)
    session.flush()


def _refuse_taken_name(session: Session, project_id: uuid.UUID, name: str) -> None:
    taken = session.exec(select(Channel.id).where(Channel.project_id == project_id, Channel.name == name)).first()
    if taken is not None:
        raise Conflict(f"This project has a channel named {name!r} already ({taken})")
