"""Wire types of alerts, their timeline, and the history of a rule."""

import uuid
from datetime import datetime
from typing import Any

import msgspec

from api.schemas.common import JsonObject
from api.schemas.deliveries import DeliveryView
from monitoring.store.alert_tables import Alert, AlertEvent


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a rule fired for a deployment; `rule` is the rule as it was then, `value` as last evaluated."""

    id: uuid.UUID
    project_id: uuid.UUID
    rule_id: uuid.UUID
    deployment_id: uuid.UUID
    rule: JsonObject
    state: str
    severity: str
    cause: str
    value: float | None
    threshold: float
    pending_since: datetime
    started_at: datetime
    escalated_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_reason: str | None

    @classmethod
    def of(cls, row: Alert) -> "AlertView":
        """Return the view of a stored alert."""
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class AlertEventView(msgspec.Struct, frozen=True, kw_only=True):
    """Evaluations in a row that saw and decided the same, or one act of a person (`actor`: the key's id).

    `reason` is a name, `detail` says it in a sentence with figures; `notice` is the kind of notice that was made.
    """

    id: uuid.UUID
    rule_id: uuid.UUID
    deployment_id: uuid.UUID | None
    alert_id: uuid.UUID | None
    phase_before: str
    phase: str
    reason: str
    detail: str
    value: float | None
    samples: int | None
    notice: str | None
    actor: str | None
    evaluations: int
    first_at: datetime
    last_at: datetime

    @classmethod
    def of(cls, row: AlertEvent) -> "AlertEventView":
        """Return the view of a stored event."""
        values: dict[str, Any] = {name: getattr(row, name) for name in cls.__struct_fields__}
        return cls(**values)


class AlertPage(msgspec.Struct, frozen=True):
    """A page of alerts."""

    items: list[AlertView]
    total: int
    limit: int
    offset: int


class AlertEventPage(msgspec.Struct, frozen=True):
    """A page of what a rule's evaluations saw and decided."""

    items: list[AlertEventView]
    total: int
    limit: int
    offset: int


class AlertDetail(msgspec.Struct, frozen=True):
    """An alert, what led to it and became of it (oldest first), and its deliveries (newest first).

    Of both the newest 200; the rule's history and the alert's deliveries, each a list of its own, have all.
    """

    alert: AlertView
    timeline: list[AlertEventView]
    deliveries: list[DeliveryView]


class AlertChanged(msgspec.Struct, frozen=True):
    """The answer to a change of an alert."""

    ok: bool
    alert_id: uuid.UUID
    state: str

    @classmethod
    def of(cls, row: Alert) -> "AlertChanged":
        """Return the answer about a stored alert."""
        return cls(ok=True, alert_id=row.id, state=row.state)
