"""Recording what the alert state machine decided: state, alert, history, notices and deliveries stand or fall together.

Every change of alert states takes one lock first, so that each is decided on what the one before it left.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from monitoring import alerting
from monitoring.alerting import NotOpen, Reason, Step
from monitoring.rules import Verdict
from monitoring.store.alert_rows import write_alerts, write_states
from monitoring.store.alert_tables import Alert
from monitoring.store.alerts import find_alert
from monitoring.store.circumstances import read_circumstances
from monitoring.store.errors import Conflict
from monitoring.store.events import write_events
from monitoring.store.ids import new_id
from monitoring.store.notices import Change, add_notices
from monitoring.store.watches import Watch, find_watch, list_open_watches

_ADVISORY_LOCK = 7_415_066_213  # any constant of ours


def lock_alerts(session: Session) -> None:
    """Wait until no other transaction changes alert states, and keep it so until this one ends.

    Take it before any row lock on rules or channels: the evaluation, which holds it, may wait for those.
    """
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def record_step(
    session: Session, watch: Watch, step: Step, *, verdict: Verdict | None, now: datetime, actor: str | None
) -> None:
    """Record one step of a watch read under the lock."""
    record_steps(session, [Change(watch=watch, step=step, verdict=verdict, actor=actor)], now=now)


def record_steps(session: Session, changes: Sequence[Change], *, now: datetime) -> None:
    """Record steps of different watches, all read under the lock, in a number of statements that does not grow."""
    alert_ids = [_alert_id(change) for change in changes]
    paired = list(zip(changes, alert_ids, strict=True))
    opened = [(change, alert_id) for change, alert_id in paired if alert_id and alert_id != change.watch.alert_id]
    kept = [(change, alert_id) for change, alert_id in paired if alert_id and alert_id == change.watch.alert_id]
    write_alerts(session, opened, kept, now=now)
    write_states(session, paired, now=now)
    write_events(session, paired, now=now)
    add_notices(session, [(change, alert_id) for change, alert_id in paired if alert_id], now=now)


def acknowledge_alert(session: Session, alert_id: uuid.UUID, *, now: datetime, actor: str) -> Alert:
    """Acknowledge an open alert; twice is harmless. Raises NotFound, or Conflict when it is resolved."""
    lock_alerts(session)
    alert, watch = _find_open(session, alert_id)
    if watch is None:
        raise Conflict("The alert is resolved already")
    if watch.state.phase == "acknowledged":
        return alert
    try:
        step = alerting.acknowledge(watch.state, now=now, by=actor)
    except NotOpen as not_open:
        raise Conflict("The alert does not fire") from not_open
    record_step(session, watch, step, verdict=None, now=now, actor=actor)
    session.refresh(alert)
    return alert


def resolve_alert(session: Session, alert_id: uuid.UUID, *, now: datetime, actor: str) -> Alert:
    """Resolve an open alert by hand. It fires anew when the next evaluation finds a breach. Raises NotFound, Conflict.

    The resolve is told under the usual conditions, and the cooldown goes on counting.
    """
    lock_alerts(session)
    alert, watch = _find_open(session, alert_id)
    if watch is None:
        raise Conflict("The alert is resolved already")
    _withdraw(session, [watch], "resolved_by_hand", f"resolved by {actor}", now=now, actor=actor)
    session.refresh(alert)
    return alert


def withdraw_rule(
    session: Session, rule_id: uuid.UUID, *, reason: Reason, detail: str, now: datetime, actor: str | None
) -> None:
    """End every watch of a rule that is not at rest, open alerts resolving with the reason.

    For a rule that is about to be deleted, disabled, or pointed at something else.
    """
    lock_alerts(session)
    _withdraw(session, list_open_watches(session, rule_id), reason, detail, now=now, actor=actor)


def _withdraw(
    session: Session, watches: list[Watch], reason: Reason, detail: str, *, now: datetime, actor: str | None
) -> None:
    circumstances = read_circumstances(session, watches, now=now)
    changes = [
        Change(
            watch=watch,
            step=alerting.withdraw(watch.rule, watch.state, found, reason=reason, detail=detail),
            actor=actor,
        )
        for watch, found in zip(watches, circumstances, strict=True)
    ]
    record_steps(session, changes, now=now)


def _find_open(session: Session, alert_id: uuid.UUID) -> tuple[Alert, Watch | None]:
    """Return an alert and, when it is open, its watch. Raises NotFound."""
    alert = find_alert(session, alert_id)
    if alert.state == "resolved":
        return alert, None
    watch = find_watch(session, alert.rule_id, alert.deployment_id)
    if watch.alert_id != alert_id:
        raise Conflict("The alert is not the one that its rule has open")
    return alert, watch


def _alert_id(change: Change) -> uuid.UUID | None:
    """Return the id of the alert a step is about: the open one, or a fresh one when it begins to fire."""
    if change.watch.alert_id is not None:
        return change.watch.alert_id
    return new_id() if change.step.state.is_open else None
