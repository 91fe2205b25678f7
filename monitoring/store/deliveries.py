"""Deliveries as people see them: list with their attempts, and try one again. The outbox sends them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from monitoring.retrying import RETRY_HORIZON
from monitoring.store.alert_tables import Channel, Delivery, DeliveryAttempt, Notice
from monitoring.store.errors import Conflict, NotFound
from monitoring.store.pages import Page, read_page


@dataclass(frozen=True)
class DeliveryStory:
    """A delivery, the kind of its notice, and its attempts, the first first."""

    delivery: Delivery
    kind: str
    attempts: list[DeliveryAttempt]


def find_delivery(session: Session, delivery_id: uuid.UUID) -> Delivery:
    """Return a delivery. Raises NotFound."""
    row = session.get(Delivery, delivery_id)
    if row is None:
        raise NotFound("delivery", delivery_id)
    return row


def list_deliveries(session: Session, alert_id: uuid.UUID, page: Page) -> tuple[list[DeliveryStory], int]:
    """Return a page of an alert's deliveries, newest first, and how many there are."""
    order = (col(Delivery.created_at).desc(), col(Delivery.id).desc())
    rows, total = read_page(session, Delivery, [col(Delivery.alert_id) == alert_id], order, page)
    return tell_stories(session, rows), total


def tell_stories(session: Session, deliveries: Sequence[Delivery]) -> list[DeliveryStory]:
    """Return these deliveries, in their order, each with its notice's kind and its attempts."""
    notices = select(Notice.id, Notice.kind).where(col(Notice.id).in_({row.notice_id for row in deliveries}))
    kinds = dict(session.exec(notices).all())
    attempts: dict[uuid.UUID, list[DeliveryAttempt]] = {row.id: [] for row in deliveries}
    made = (
        select(DeliveryAttempt)
        .where(col(DeliveryAttempt.delivery_id).in_(attempts))
        .order_by(col(DeliveryAttempt.attempt))
        .execution_options(populate_existing=True)
    )
    for attempt in session.exec(made):
        attempts[attempt.delivery_id].append(attempt)
    return [DeliveryStory(row, kinds[row.notice_id], attempts[row.id]) for row in deliveries]


def retry_delivery(session: Session, delivery_id: uuid.UUID, *, now: datetime) -> Delivery:
    """Make a delivery due now: a failed one with RETRY_HORIZON before it again, a waiting one at once.

    Raises NotFound, or Conflict when it was sent, is just being sent, or its channel is gone or disabled.
    """
    row = session.exec(
        select(Delivery).where(Delivery.id == delivery_id).with_for_update().execution_options(populate_existing=True)
    ).first()
    if row is None:
        raise NotFound("delivery", delivery_id)
    if row.state in {"sent", "sending"}:
        raise Conflict(f"This delivery is {'sent already' if row.state == 'sent' else 'being sent just now'}")
    channel = None if row.channel_id is None else session.get(Channel, row.channel_id, populate_existing=True)
    if channel is None:
        raise Conflict(f"The channel {row.channel_name!r} of this delivery was removed")
    if not channel.is_enabled:
        raise Conflict(f"The channel {channel.name!r} of this delivery is disabled: enable it first")
    if row.state == "failed":
        row.state, row.give_up_at = "pending", now + RETRY_HORIZON
    row.next_attempt_at = now
    session.add(row)
    session.flush()
    return row
