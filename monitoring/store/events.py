"""The history of rules: a stretch of evaluations that saw and decided the same is one row, which grows."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from monitoring.store.alert_tables import AlertEvent
from monitoring.store.bulk import as_json, insert_rows, recordset
from monitoring.store.ids import new_id
from monitoring.store.notices import Change

_LAST = f"""
SELECT last.* FROM {recordset("alert_state")} AS w
CROSS JOIN LATERAL (
    SELECT id, rule_id, deployment_id, alert_id, phase_before, phase, reason, notice, actor FROM alert_event AS e
    WHERE e.rule_id = w.rule_id AND e.deployment_id = w.deployment_id ORDER BY e.first_at DESC, e.id DESC LIMIT 1
) AS last
"""
_EXTEND = f"""
UPDATE alert_event AS e SET last_at = GREATEST(e.last_at, r.last_at), evaluations = e.evaluations + 1,
    detail = r.detail, value = r.value, samples = r.samples
FROM {recordset("alert_event")} AS r WHERE e.id = r.id
"""
_GROWS = {"id", "last_at", "detail", "value", "samples"}


def write_events(session: Session, changes: Sequence[tuple[Change, uuid.UUID | None]], *, now: datetime) -> None:
    """Write what each step did, as a new row or as one evaluation more of the last."""
    if not changes:
        return
    last = _read_last(session, [change for change, _ in changes])
    fresh, longer = [], []
    for change, alert_id in changes:
        event = _event(change, alert_id, now)
        before = last.get((event.rule_id, event.deployment_id))
        if before is not None and _is_same(event, before):
            event.id = before.id
            longer.append(event)
        else:
            fresh.append(event)
    insert_rows(session, fresh)
    if longer:
        session.execute(
            text(_EXTEND), {"rows": as_json(event.model_dump(mode="json", include=_GROWS) for event in longer)}
        )


def _read_last(session: Session, changes: Sequence[Change]) -> dict[tuple[uuid.UUID, uuid.UUID | None], Any]:
    keys = as_json(change.watch.key for change in changes)
    return {(row.rule_id, row.deployment_id): row for row in session.execute(text(_LAST), {"rows": keys})}


def _is_same(event: AlertEvent, before: Any) -> bool:  # noqa: ANN401 - a row of _LAST
    is_step = event.phase_before != event.phase or event.notice is not None or event.actor is not None
    stood = (before.alert_id, before.phase, before.reason, before.notice, before.actor)
    return not is_step and stood == (event.alert_id, event.phase, event.reason, None, None)


def _event(change: Change, alert_id: uuid.UUID | None, now: datetime) -> AlertEvent:
    watch, step = change.watch, change.step
    seen = change.verdict or watch
    at = max(now, step.state.evaluated_at or now)
    return AlertEvent(
        id=new_id(),
        project_id=watch.project_id,
        rule_id=watch.rule.rule_id,
        deployment_id=watch.deployment_id,
        alert_id=alert_id,
        phase_before=watch.state.phase,
        phase=step.state.phase,
        reason=step.reason,
        detail=step.detail,
        value=seen.value,
        samples=seen.samples,
        notice=step.notice,
        actor=change.actor,
        first_at=at,
        last_at=at,
    )
