"""The rows of alerts and of alert states, as steps leave them, each kind written in one statement."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from monitoring.store.alert_tables import Alert, AlertState
from monitoring.store.bulk import as_json, insert_rows, recordset
from monitoring.store.notices import Change
from monitoring.store.watches import watched_by

Recorded = Sequence[tuple[Change, uuid.UUID]]

_UPDATE_ALERTS = f"""
UPDATE alert AS a SET
    state = r.state, severity = r.severity, cause = r.cause, value = COALESCE(r.value, a.value),
    escalated_at = COALESCE(a.escalated_at, r.escalated_at),
    acknowledged_at = COALESCE(a.acknowledged_at, r.acknowledged_at),
    acknowledged_by = COALESCE(a.acknowledged_by, r.acknowledged_by),
    resolved_at = r.resolved_at, resolved_reason = r.resolved_reason
FROM {recordset("alert")} AS r WHERE a.id = r.id
"""
_STATE_COLUMNS = [name for name in AlertState.model_fields if name not in {"rule_id", "deployment_id"}]
# The outbox moves `last_notice_at` when a notice arrives, without the lock; a time far ahead is of a wrong clock.
_KEPT_NOTICE = """CASE WHEN alert_state.last_notice_at <= CAST(:now AS timestamptz) + interval '1 hour'
    THEN GREATEST(alert_state.last_notice_at, excluded.last_notice_at) ELSE excluded.last_notice_at END"""
_UPSERT = "ON CONFLICT (rule_id, deployment_id) DO UPDATE SET " + ", ".join(
    f"{name} = {_KEPT_NOTICE if name == 'last_notice_at' else f'excluded.{name}'}" for name in _STATE_COLUMNS
)


def write_alerts(session: Session, opened: Recorded, kept: Recorded, *, now: datetime) -> None:
    """Insert the alerts that begin to fire; carry what became of those that were open."""
    insert_rows(session, [_opened(change, alert_id, now) for change, alert_id in opened])
    if kept:
        rows = as_json(_kept(change, alert_id, now) for change, alert_id in kept)
        session.execute(text(_UPDATE_ALERTS), {"rows": rows})


def write_states(session: Session, changes: Sequence[tuple[Change, uuid.UUID | None]], *, now: datetime) -> None:
    """Store where the watches stand now and what the last evaluation saw, in the order of their keys (see outbox)."""
    ordered = sorted(changes, key=lambda each: (each[0].watch.rule.rule_id, each[0].watch.deployment_id))
    rows = [_state(change, alert_id) for change, alert_id in ordered]
    insert_rows(session, rows, on_conflict=_UPSERT, now=now)


def _opened(change: Change, alert_id: uuid.UUID, now: datetime) -> Alert:
    watch, rule, state = change.watch, change.watch.rule, change.step.state
    started_at = state.firing_since or now
    return Alert(
        id=alert_id,
        project_id=watch.project_id,
        rule_id=rule.rule_id,
        deployment_id=watch.deployment_id,
        rule=_rule_json(change),
        state=state.phase,
        severity=state.severity or rule.severity,
        cause=state.cause or "breach",
        value=None if change.verdict is None else change.verdict.value,
        threshold=rule.threshold,
        pending_since=state.pending_since or started_at,
        started_at=started_at,
        escalated_at=now if state.escalated else None,
    )


def _kept(change: Change, alert_id: uuid.UUID, now: datetime) -> dict[str, Any]:
    before, after = change.watch.state, change.step.state
    shown = after if after.is_open else before
    acknowledged = after.phase == "acknowledged" and before.phase != "acknowledged"
    return {
        "id": alert_id,
        "state": after.phase if after.is_open else "resolved",
        "severity": shown.severity or change.watch.rule.severity,
        "cause": shown.cause or "breach",
        "value": None if change.verdict is None else change.verdict.value,
        "escalated_at": now if after.escalated else None,
        "acknowledged_at": now if acknowledged else None,
        "acknowledged_by": change.actor if acknowledged else None,
        "resolved_at": None if after.is_open else now,
        "resolved_reason": None if after.is_open else change.step.reason,
    }


def _state(change: Change, alert_id: uuid.UUID | None) -> AlertState:
    watch, state = change.watch, change.step.state
    seen = change.verdict or watch
    return AlertState(
        rule_id=watch.rule.rule_id,
        deployment_id=watch.deployment_id,
        watched=(watch.watched if change.verdict is None else None) or watched_by(watch.rule),
        alert_id=alert_id if state.is_open else None,
        value=seen.value,
        samples=seen.samples,
        reason=change.step.reason,
        detail=change.step.detail,
        **asdict(state),
    )


def _rule_json(change: Change) -> dict[str, Any]:
    rule = asdict(change.watch.rule)
    return {**rule, "rule_id": str(change.watch.rule.rule_id), "channels": [str(one) for one in change.watch.channels]}
