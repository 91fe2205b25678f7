"""Rows for the alerts' tests, stored as the watch would."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import Session

from api.schemas.alert_rules import AlertRuleCreate
from monitoring.store.alert_rules import add_rule
from monitoring.store.alert_tables import (
    Alert,
    AlertEvent,
    AlertState,
    Channel,
    Delivery,
    DeliveryAttempt,
    Notice,
    Silence,
)
from monitoring.store.tables import Artifact, Deployment, Model

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def add_deployment(session: Session, project_id: str | uuid.UUID, **said: Any) -> uuid.UUID:
    """Store a deployment of a model with the features `age` and `amount`; archived unless told otherwise."""
    artifact = Artifact(sha256=uuid.uuid4().hex * 2, size_bytes=0)
    session.add(artifact)
    session.flush()
    model = Model(
        project_id=uuid.UUID(str(project_id)),
        name="m",
        algo="gbm",
        category="Binomial",
        features=[{"name": "age"}, {"name": "amount"}],
        mojo_sha256=artifact.sha256,
        reference_rows=100,
    )
    session.add(model)
    session.flush()
    facts = {"name": "d", "stage": "archived", "status": "inactive", "config": {"traffic_percent": 100}}
    deployment = Deployment(project_id=model.project_id, model_id=model.id, **(facts | said))
    session.add(deployment)
    session.flush()
    return deployment.id


def add_alert(session: Session, rule: dict[str, Any], deployment_id: uuid.UUID, state: str = "firing") -> uuid.UUID:
    """Store an alert of a rule (as the API shows it) with its watch's state and events; it was told."""
    keys = {"rule_id": uuid.UUID(rule["id"]), "deployment_id": deployment_id}
    alert = Alert(
        **keys,
        project_id=uuid.UUID(rule["project_id"]),
        rule={"name": rule["name"]},
        state=state,
        severity=rule["severity"],
        cause="breach",
        value=0.31,
        threshold=rule["threshold"],
        pending_since=NOW,
        started_at=NOW + 3 * MINUTE,
        resolved_at=NOW + 9 * MINUTE if state == "resolved" else None,
    )
    session.add(alert)
    session.flush()
    if state != "resolved":
        phase = {
            "phase": state,
            "cause": "breach",
            "pending_since": NOW,
            "firing_since": alert.started_at,
            "severity": alert.severity,
            "alert_id": alert.id,
        }
        told = {"told": True, "last_notice_at": alert.started_at, "evaluated_at": NOW + 8 * MINUTE}
        session.add(AlertState(**keys, watched=rule["metric"], **phase, **told, reason="cooldown", detail="it waits"))
    for after, phase_after, reason in (
        (-5, "ok", "below_threshold"),
        (0, "pending", "pending"),
        (3, "firing", "fired"),
    ):
        session.add(
            AlertEvent(
                **keys,
                project_id=alert.project_id,
                alert_id=alert.id if phase_after == "firing" else None,
                phase_before="ok",
                phase=phase_after,
                reason=reason,
                detail=f"because {reason}",
                first_at=NOW + after * MINUTE,
                last_at=NOW + after * MINUTE,
            )
        )
    session.flush()
    return alert.id


def add_delivery(session: Session, alert_id: uuid.UUID, channel_id: str, **said: Any) -> uuid.UUID:
    """Store a notice of an alert and its delivery, waiting unless told otherwise."""
    alert, channel = session.get_one(Alert, alert_id), session.get_one(Channel, uuid.UUID(channel_id))
    notice = Notice(project_id=alert.project_id, alert_id=alert_id, kind="firing", facts={}, created_at=NOW)
    session.add(notice)
    session.flush()
    facts = {"next_attempt_at": NOW + MINUTE, "give_up_at": NOW + timedelta(days=1), "created_at": NOW}
    delivery = Delivery(
        project_id=alert.project_id,
        notice_id=notice.id,
        alert_id=alert_id,
        channel_id=channel.id,
        channel_name=channel.name,
        channel_type=channel.type,
        **(facts | said),
    )
    session.add(delivery)
    session.flush()
    return delivery.id


def furnish_watch(session: Session, deployment: Deployment) -> dict[str, str]:
    """Store one of everything that watching a deployment makes; return the ids by their names in paths."""
    project_id = deployment.project_id
    channel = Channel(project_id=project_id, name="ops", type="email", config={"to": ["ops@example.org"]})
    session.add(channel)
    session.flush()
    values = AlertRuleCreate(name="r", metric="error_rate", operator="gt", threshold=1, severity="info", channels=[])
    rule = add_rule(session, project_id, values.values() | {"channels": [channel.id]}, now=NOW)
    facts = {"id": str(rule.id), "project_id": str(project_id), "name": rule.name, "severity": rule.severity}
    alert_id = add_alert(session, facts | {"threshold": rule.threshold, "metric": rule.metric}, deployment.id)
    delivery_id = add_delivery(session, alert_id, str(channel.id))
    session.add(DeliveryAttempt(delivery_id=delivery_id, attempt=1, started_at=NOW))
    silence = Silence(
        project_id=project_id, matchers={"severity": "info"}, starts_at=NOW, ends_at=NOW + MINUTE, created_by="x"
    )
    session.add(silence)
    session.flush()
    return {
        "channel_id": str(channel.id),
        "rule_id": str(rule.id),
        "alert_id": str(alert_id),
        "delivery_id": str(delivery_id),
        "silence_id": str(silence.id),
    }


def rule_body(**said: Any) -> dict[str, Any]:
    """Return the body of a rule with what must be given, and what is said."""
    needed = {"name": "drifts", "metric": "drift_psi", "operator": "gt", "threshold": 0.25, "severity": "warning"}
    return needed | {"channels": []} | said
