"""Alerts: find, list, and what became of one. Only `alert_steps` changes them."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlmodel import Session, and_, col, or_, select

from monitoring.store.alert_tables import Alert, AlertEvent
from monitoring.store.errors import NotFound
from monitoring.store.pages import Page, read_page

# An evaluation's time is when it began to measure: what a person did meanwhile came after the resolve it records.
_LONGEST_EVALUATION: Final = timedelta(hours=1)


@dataclass(frozen=True)
class AlertFilter:
    """Which alerts of a project to list; None leaves a condition out."""

    project_id: uuid.UUID
    state: str | None = None
    severity: str | None = None
    deployment_id: uuid.UUID | None = None


def find_alert(session: Session, alert_id: uuid.UUID) -> Alert:
    """Return an alert as it is now. Raises NotFound."""
    row = session.get(Alert, alert_id, populate_existing=True)
    if row is None:
        raise NotFound("alert", alert_id)
    return row


def list_alerts(session: Session, wanted: AlertFilter, page: Page) -> tuple[list[Alert], int]:
    """Return a page of a project's alerts, the last to fire first, and how many there are."""
    where = [col(Alert.project_id) == wanted.project_id]
    if wanted.state is not None:
        where.append(col(Alert.state) == wanted.state)
    if wanted.severity is not None:
        where.append(col(Alert.severity) == wanted.severity)
    if wanted.deployment_id is not None:
        where.append(col(Alert.deployment_id) == wanted.deployment_id)
    return read_page(session, Alert, where, (col(Alert.started_at).desc(), col(Alert.id).desc()), page)


def list_timeline(session: Session, alert: Alert, *, limit: int) -> list[AlertEvent]:
    """Return the newest events of an alert's rule and deployment while it lasted, oldest first.

    From when the breach was first seen to when it resolved, so that the wait before it fired is among them.
    """
    first_at, its_own = col(AlertEvent.first_at), col(AlertEvent.alert_id) == alert.id
    ended = alert.resolved_at
    until = [] if ended is None else [or_(first_at <= ended, and_(its_own, first_at <= ended + _LONGEST_EVALUATION))]
    newest = (
        select(AlertEvent)
        .where(
            AlertEvent.rule_id == alert.rule_id,
            AlertEvent.deployment_id == alert.deployment_id,
            first_at >= alert.pending_since,
            or_(col(AlertEvent.alert_id).is_(None), its_own),
            *until,
        )
        .order_by(first_at.desc(), col(AlertEvent.id).desc())
        .limit(limit)
    )
    return list(reversed(session.exec(newest).all()))
