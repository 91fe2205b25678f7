"""Notices and their deliveries, written into the outbox in the transaction of what they tell."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session, col, select

from monitoring.alerting import Step
from monitoring.retrying import RETRY_HORIZON
from monitoring.rules import Verdict
from monitoring.store.alert_tables import Channel, Delivery, Notice
from monitoring.store.bulk import insert_rows
from monitoring.store.ids import new_id
from monitoring.store.watches import Watch


@dataclass(frozen=True, kw_only=True)
class Change:
    """A step to record: of which watch, on what verdict (None: none was asked), by whom (None: an evaluation)."""

    watch: Watch
    step: Step
    verdict: Verdict | None = None
    actor: str | None = None


def add_notices(session: Session, changes: Sequence[tuple[Change, uuid.UUID]], *, now: datetime) -> None:
    """Write the notices of steps that make one, each with the id of its alert, and a delivery per enabled target.

    A repeat goes to no target that an earlier notice of the same alert has still to reach.
    """
    telling = [(change, alert_id) for change, alert_id in changes if change.step.notice is not None]
    if not telling:
        return
    channels = _read_channels(session, {channel_id for change, _ in telling for channel_id in change.watch.channels})
    waiting = _read_waiting(session, [alert_id for change, alert_id in telling if change.step.notice == "repeat"])
    notices: list[Notice] = []
    deliveries: list[Delivery] = []
    for change, alert_id in telling:
        notice = _notice(change, alert_id, now)
        notices.append(notice)
        for channel_id in dict.fromkeys(change.watch.channels):
            made = deliveries_of(notice, channels[channel_id], now=now) if channel_id in channels else []
            deliveries.extend(one for one in made if (alert_id, channel_id, one.target) not in waiting)
    insert_rows(session, notices)
    insert_rows(session, deliveries)


def deliveries_of(notice: Notice, channel: Channel, *, now: datetime) -> list[Delivery]:
    """Return the deliveries, not yet stored, that take a notice to a channel: for e-mail one per address."""
    targets = channel.config["to"] if channel.type == "email" else [""]
    return [
        Delivery(
            id=new_id(),
            project_id=notice.project_id,
            notice_id=notice.id,
            alert_id=notice.alert_id,
            channel_id=channel.id,
            channel_name=channel.name,
            channel_type=channel.type,
            target=target,
            next_attempt_at=now,
            give_up_at=now + RETRY_HORIZON,
            created_at=now,
        )
        for target in targets
    ]


def _notice(change: Change, alert_id: uuid.UUID, now: datetime) -> Notice:
    notice_id = new_id()
    facts = {"notice_id": str(notice_id), "alert_id": str(alert_id), "created_at": _written(now), **_facts(change, now)}
    return Notice(
        id=notice_id,
        project_id=change.watch.project_id,
        alert_id=alert_id,
        rule_id=change.watch.rule.rule_id,
        deployment_id=change.watch.deployment_id,
        kind=str(change.step.notice),
        facts=facts,
        created_at=now,
    )


def _facts(change: Change, now: datetime) -> dict[str, Any]:
    """Say what is told, as JSON: of a resolve, how the alert stood before it."""
    watch, rule, resolved = change.watch, change.watch.rule, change.step.notice == "resolved"
    state = watch.state if resolved else change.step.state
    severity = state.severity or rule.severity
    seen = change.verdict or watch
    return {
        "kind": change.step.notice,
        "project_id": str(watch.project_id),
        "project_name": watch.project_name,
        "rule_id": str(rule.rule_id),
        "rule_name": rule.name,
        "deployment_id": str(watch.deployment_id),
        "deployment_name": watch.deployment_name,
        "stage": watch.stage,
        "model_name": watch.model_name,
        "metric": rule.metric,
        "feature": rule.feature,
        "operator": rule.operator,
        "threshold": rule.threshold,
        "value": seen.value,
        "samples": seen.samples,
        "window_minutes": rule.window_minutes,
        "severity": severity,
        "previous_severity": rule.severity if state.escalated and severity != rule.severity else None,
        "cause": state.cause,
        "reason": change.step.detail,
        "started_at": None if state.firing_since is None else _written(state.firing_since),
        "resolved_at": _written(now) if resolved else None,
    }


def _read_channels(session: Session, channel_ids: set[uuid.UUID]) -> dict[uuid.UUID, Channel]:
    """Return the enabled ones, held against removal until the transaction ends."""
    wanted = select(Channel).where(col(Channel.id).in_(channel_ids), col(Channel.is_enabled))
    held = wanted.order_by(col(Channel.id)).with_for_update(read=True, key_share=True)
    return {channel.id: channel for channel in session.exec(held)}


def _read_waiting(session: Session, alert_ids: Sequence[uuid.UUID]) -> set[tuple[uuid.UUID | None, uuid.UUID, str]]:
    if not alert_ids:
        return set()
    rows = session.exec(
        select(Delivery.alert_id, Delivery.channel_id, Delivery.target).where(
            col(Delivery.alert_id).in_(alert_ids), col(Delivery.state).in_(["pending", "sending"])
        )
    )
    return {(alert_id, channel_id, target) for alert_id, channel_id, target in rows if channel_id is not None}


def _written(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
