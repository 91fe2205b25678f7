"""The tables of the watch: feedback, channels, rules, alerts, silences, notices and their deliveries."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Column, DateTime, ForeignKey, Index, Integer, SmallInteger, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB
from sqlmodel import Field, SQLModel

from monitoring.store.ids import new_id
from monitoring.store.tables import utc_now


def _time(*, nullable: bool = False, primary_key: bool = False) -> Any:  # noqa: ANN401 - as in `tables`
    return Column(DateTime(timezone=True), nullable=nullable, primary_key=primary_key)


def _text(*, nullable: bool = False) -> Any:  # noqa: ANN401
    return Column(Text, nullable=nullable)


def _json(*, nullable: bool = False) -> Any:  # noqa: ANN401
    return Column(JSONB, nullable=nullable)


def _project() -> Any:  # noqa: ANN401
    return Column(ForeignKey("project.id", ondelete="CASCADE"), nullable=False)


def _deployment(*, nullable: bool = False, primary_key: bool = False) -> Any:  # noqa: ANN401
    return Column(ForeignKey("deployment.id", ondelete="CASCADE"), nullable=nullable, primary_key=primary_key)


class Feedback(SQLModel, table=True):
    """What really came of one prediction; joined to its log row by inference id."""

    __tablename__ = "feedback"
    __table_args__ = (Index("feedback_by_prediction_time", "deployment_id", "predicted_at"),)

    deployment_id: uuid.UUID = Field(sa_column=_deployment(primary_key=True))
    inference_id: uuid.UUID = Field(primary_key=True)
    predicted_at: datetime = Field(sa_column=_time(), description="`created_at` of the log row, out of the id")
    label: str | None = Field(
        default=None, sa_column=_text(nullable=True), description="classification, model's spelling"
    )
    number: float | None = Field(default=None, sa_column=Column(DOUBLE_PRECISION), description="regression")
    observed_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    received_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class Channel(SQLModel, table=True):
    """Where notices go: e-mail addresses, a Slack incoming webhook, or a webhook of one's own."""

    __tablename__ = "channel"
    __table_args__ = (Index("channel_name", "project_id", "name", unique=True),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    project_id: uuid.UUID = Field(sa_column=_project())
    name: str = Field(sa_column=_text())
    type: str = Field(sa_column=_text(), description="email, slack or webhook")
    config: dict[str, Any] = Field(sa_column=_json(), description="holds secrets: never shown, audited or logged whole")
    is_enabled: bool = True
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class AlertRule(SQLModel, table=True):
    """When to alert whom: a metric of one deployment, or of whichever is in production."""

    __tablename__ = "alert_rule"
    __table_args__ = (Index("alert_rule_name", "project_id", "name", unique=True),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    project_id: uuid.UUID = Field(sa_column=_project())
    name: str = Field(sa_column=_text())
    deployment_id: uuid.UUID | None = Field(default=None, sa_column=_deployment(nullable=True))
    metric: str = Field(sa_column=_text())
    feature: str | None = Field(default=None, sa_column=_text(nullable=True))
    operator: str = Field(sa_column=_text())
    threshold: float = Field(sa_column=Column(DOUBLE_PRECISION, nullable=False))
    severity: str = Field(sa_column=_text())
    channels: list[uuid.UUID] = Field(sa_column=Column(ARRAY(Uuid), nullable=False))
    window_minutes: int
    for_minutes: int
    min_samples: int
    cooldown_minutes: int
    escalation_minutes: int | None = None
    escalation_severity: str | None = Field(default=None, sa_column=_text(nullable=True))
    no_data: str = Field(sa_column=_text(), description="ignore or alert")
    notify_resolved: bool = True
    is_enabled: bool = True
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class AlertState(SQLModel, table=True):
    """Where the alert state machine stands for a rule and a deployment, and what the last evaluation saw."""

    __tablename__ = "alert_state"

    rule_id: uuid.UUID = Field(sa_column=Column(ForeignKey("alert_rule.id", ondelete="CASCADE"), primary_key=True))
    deployment_id: uuid.UUID = Field(sa_column=_deployment(primary_key=True))
    watched: str = Field(sa_column=_text(), description="metric, or metric:feature, that the phase is about")
    phase: str = Field(default="ok", sa_column=_text(), description="ok, pending, firing or acknowledged")
    cause: str | None = Field(default=None, sa_column=_text(nullable=True), description="breach or no_data")
    pending_since: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    firing_since: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    severity: str | None = Field(default=None, sa_column=_text(nullable=True), description="of the open alert")
    told: bool = False
    escalated: bool = False
    escalation_told: bool = False
    last_notice_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    evaluated_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    alert_id: uuid.UUID | None = Field(default=None, description="the open alert")
    value: float | None = Field(default=None, sa_column=Column(DOUBLE_PRECISION))
    samples: int | None = None
    reason: str = Field(default="", sa_column=_text())
    detail: str = Field(default="", sa_column=_text())


class Alert(SQLModel, table=True):
    """One time that a rule fired for a deployment, from firing to resolved; outlives its rule."""

    __tablename__ = "alert"
    __table_args__ = (
        Index("alert_by_project", "project_id", "started_at", "id"),
        Index("one_open_alert", "rule_id", "deployment_id", unique=True, postgresql_where=text("state <> 'resolved'")),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    project_id: uuid.UUID = Field(sa_column=_project())
    rule_id: uuid.UUID = Field(description="no foreign key: the alert outlives the rule")
    deployment_id: uuid.UUID = Field(sa_column=_deployment())
    rule: dict[str, Any] = Field(sa_column=_json(), description="the rule as it was when it fired")
    state: str = Field(sa_column=_text(), description="firing, acknowledged or resolved")
    severity: str = Field(sa_column=_text(), description="raised by the escalation")
    cause: str = Field(sa_column=_text(), description="breach or no_data")
    value: float | None = Field(default=None, sa_column=Column(DOUBLE_PRECISION), description="as last evaluated")
    threshold: float = Field(sa_column=Column(DOUBLE_PRECISION, nullable=False))
    pending_since: datetime = Field(sa_column=_time(), description="when the breach was first seen")
    started_at: datetime = Field(sa_column=_time(), description="when it began to fire")
    escalated_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    acknowledged_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    acknowledged_by: str | None = Field(default=None, sa_column=_text(nullable=True))
    resolved_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    resolved_reason: str | None = Field(default=None, sa_column=_text(nullable=True))


class AlertEvent(SQLModel, table=True):
    """A stretch of evaluations that saw and decided the same, or one act of a person: history and timeline."""

    __tablename__ = "alert_event"
    __table_args__ = (Index("alert_event_by_rule", "rule_id", "deployment_id", "first_at", "id"),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    project_id: uuid.UUID = Field(sa_column=_project())
    rule_id: uuid.UUID
    deployment_id: uuid.UUID | None = Field(default=None, sa_column=_deployment(nullable=True))
    alert_id: uuid.UUID | None = None
    phase_before: str = Field(sa_column=_text())
    phase: str = Field(sa_column=_text())
    reason: str = Field(sa_column=_text(), description="a name out of `alerting.Reason`")
    detail: str = Field(sa_column=_text(), description="the same in a sentence")
    value: float | None = Field(default=None, sa_column=Column(DOUBLE_PRECISION))
    samples: int | None = None
    notice: str | None = Field(default=None, sa_column=_text(nullable=True), description="kind of the notice made")
    actor: str | None = Field(
        default=None, sa_column=_text(nullable=True), description="API key id; null: an evaluation"
    )
    evaluations: int = Field(default=1, sa_column=Column(Integer, nullable=False))
    first_at: datetime = Field(sa_column=_time())
    last_at: datetime = Field(sa_column=_time())


class Silence(SQLModel, table=True):
    """A stretch of time in which matching alerts send nothing."""

    __tablename__ = "silence"
    __table_args__ = (Index("silence_by_project", "project_id", "ends_at"),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    project_id: uuid.UUID = Field(sa_column=_project())
    matchers: dict[str, str] = Field(sa_column=_json(), description="{field: value}; all must match")
    starts_at: datetime = Field(sa_column=_time())
    ends_at: datetime = Field(sa_column=_time())
    comment: str = Field(default="", sa_column=_text())
    created_by: str = Field(sa_column=_text(), description="API key id")
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class Notice(SQLModel, table=True):
    """What is to be told of an alert (or a test of a channel), as facts; each channel renders its own text."""

    __tablename__ = "notice"
    __table_args__ = (
        Index("notice_by_watch", "rule_id", "deployment_id", "created_at"),
        Index("notice_by_alert", "alert_id"),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    project_id: uuid.UUID = Field(sa_column=_project())
    alert_id: uuid.UUID | None = Field(default=None, sa_column=Column(ForeignKey("alert.id", ondelete="CASCADE")))
    rule_id: uuid.UUID | None = None
    deployment_id: uuid.UUID | None = None
    kind: str = Field(sa_column=_text(), description="firing, repeat, escalated, resolved or test")
    facts: dict[str, Any] = Field(sa_column=_json())
    created_at: datetime = Field(sa_column=_time())


class Delivery(SQLModel, table=True):
    """The outbox: one notice on its way to one channel (for e-mail: to one address)."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index("delivery_due", "channel_id", "next_attempt_at", "id", postgresql_where=text("state = 'pending'")),
        Index(
            "delivery_order",
            "alert_id",
            "channel_id",
            "target",
            "id",
            postgresql_where=text("state IN ('pending', 'sending')"),
        ),
        Index("delivery_sending", "claimed_until", postgresql_where=text("state = 'sending'")),
        Index("delivery_by_alert", "alert_id", "channel_id", "id"),
        Index("delivery_by_notice", "notice_id"),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    project_id: uuid.UUID = Field(sa_column=_project())
    notice_id: uuid.UUID = Field(sa_column=Column(ForeignKey("notice.id", ondelete="CASCADE"), nullable=False))
    alert_id: uuid.UUID | None = Field(default=None, sa_column=Column(ForeignKey("alert.id", ondelete="CASCADE")))
    channel_id: uuid.UUID | None = Field(
        default=None, sa_column=Column(ForeignKey("channel.id", ondelete="SET NULL"), index=True)
    )
    channel_name: str = Field(sa_column=_text())
    channel_type: str = Field(sa_column=_text())
    target: str = Field(default="", sa_column=_text(), description="e-mail: the address; else empty")
    state: str = Field(default="pending", sa_column=_text(), description="pending, sending, sent or failed")
    attempts: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False))
    next_attempt_at: datetime = Field(sa_column=_time())
    give_up_at: datetime = Field(sa_column=_time())
    claimed_until: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    response: str | None = Field(default=None, sa_column=_text(nullable=True), description="of the last attempt")
    created_at: datetime = Field(sa_column=_time())
    sent_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class DeliveryAttempt(SQLModel, table=True):
    """One try to hand a notice over; one without `finished_at` was cut short or is under way."""

    __tablename__ = "delivery_attempt"

    delivery_id: uuid.UUID = Field(
        sa_column=Column(ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    attempt: int = Field(sa_column=Column(SmallInteger, primary_key=True, nullable=False))
    started_at: datetime = Field(sa_column=_time())
    finished_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    outcome: str | None = Field(default=None, sa_column=_text(nullable=True), description="sent, retry or failed")
    response: str | None = Field(default=None, sa_column=_text(nullable=True))
