"""The audit log: who changed what, from what, to what, when. Rows are only ever added."""

import uuid
from typing import Any

from sqlmodel import Session, SQLModel, col, func, select

from monitoring.store.alert_tables import Alert, AlertRule, Channel, Delivery, Silence
from monitoring.store.privacy_tables import PrivacyPolicy
from monitoring.store.tables import ApiKey, AuditEvent, Deployment, Model, Project

Subject = Project | ApiKey | Model | Deployment | Channel | AlertRule | Alert | Silence | Delivery | PrivacyPolicy
_NEVER_RECORDED = {"api_key": {"secret_sha256"}, "channel": {"config"}}


def snapshot(row: SQLModel, *columns: str) -> dict[str, Any]:
    """Return a row's columns (all of them, unless named) as JSON values, secrets left out."""
    secrets = _NEVER_RECORDED.get(str(row.__tablename__))
    return row.model_dump(mode="json", include=set(columns) or None, exclude=secrets)


def record(
    session: Session,
    *,
    actor: str,
    action: str,
    subject: Subject,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditEvent:
    """Add one event about `subject` in the caller's transaction, so that change and record stand or fall together."""
    event = AuditEvent(
        project_id=subject.id if isinstance(subject, Project) else subject.project_id,
        actor=actor,
        action=action,
        subject_type=str(subject.__tablename__),
        subject_id=str(subject.id),
        before=before,
        after=after,
    )
    session.add(event)
    session.flush()
    return event


def list_events(
    session: Session, *, project_id: uuid.UUID, limit: int, offset: int = 0
) -> tuple[list[AuditEvent], int]:
    """Return a page of a project's events, newest first, and how many there are."""
    total = session.exec(select(func.count()).select_from(AuditEvent).where(AuditEvent.project_id == project_id)).one()
    page = (
        select(AuditEvent)
        .where(AuditEvent.project_id == project_id)
        .order_by(col(AuditEvent.created_at).desc(), col(AuditEvent.id).desc())
        .limit(limit)
        .offset(offset)
    )
    return list(session.exec(page)), total
