"""Wire types of deliveries."""

import uuid
from datetime import datetime

import msgspec

from monitoring.store.alert_tables import DeliveryAttempt
from monitoring.store.deliveries import DeliveryStory


class AttemptView(msgspec.Struct, frozen=True):
    """One try to hand a notice over; without `finished_at` it is under way, or was cut short."""

    attempt: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    response: str | None

    @classmethod
    def of(cls, row: DeliveryAttempt) -> "AttemptView":
        """Return the view of a stored attempt."""
        return cls(row.attempt, row.started_at, row.finished_at, row.outcome, row.response)


class DeliveryView(msgspec.Struct, frozen=True):
    """A notice on its way to one channel (`target`: the address, for e-mail).

    `attempt` counts the attempts made, `response` is what the last one got, `next_attempt_at` is when the next one is
    due (null when there is none to come).
    """

    id: uuid.UUID
    notice_id: uuid.UUID
    alert_id: uuid.UUID | None
    kind: str
    channel_id: uuid.UUID | None
    channel_name: str
    channel_type: str
    target: str
    state: str
    attempt: int
    response: str | None
    next_attempt_at: datetime | None
    give_up_at: datetime
    created_at: datetime
    sent_at: datetime | None
    attempts: list[AttemptView]

    @classmethod
    def of(cls, story: DeliveryStory) -> "DeliveryView":
        """Return the view of a delivery with its attempts."""
        row = story.delivery
        return cls(
            id=row.id,
            notice_id=row.notice_id,
            alert_id=row.alert_id,
            kind=story.kind,
            channel_id=row.channel_id,
            channel_name=row.channel_name,
            channel_type=row.channel_type,
            target=row.target,
            state=row.state,
            attempt=row.attempts,
            response=row.response,
            next_attempt_at=row.next_attempt_at if row.state == "pending" else None,
            give_up_at=row.give_up_at,
            created_at=row.created_at,
            sent_at=row.sent_at,
            attempts=[AttemptView.of(attempt) for attempt in story.attempts],
        )


class DeliveryPage(msgspec.Struct, frozen=True):
    """A page of deliveries."""

    items: list[DeliveryView]
    total: int
    limit: int
    offset: int
