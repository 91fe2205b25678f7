"""Alerts: what fired, why, what became of it, and a person's word on it."""

import uuid
from collections.abc import Callable
from typing import Annotated, Literal

from litestar import get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter
from sqlmodel import Session

from api.auth import Principal, requires
from api.schemas.alerts import AlertChanged, AlertDetail, AlertEventPage, AlertEventView, AlertPage, AlertView
from api.schemas.common import Paging
from api.schemas.deliveries import DeliveryView
from monitoring.rules import Severity
from monitoring.store import alert_rules, alerts, audit
from monitoring.store.alert_steps import acknowledge_alert, lock_alerts, resolve_alert
from monitoring.store.alert_tables import Alert
from monitoring.store.alerts import AlertFilter
from monitoring.store.clock import database_time
from monitoring.store.database import Database
from monitoring.store.deliveries import list_deliveries
from monitoring.store.pages import Page
from monitoring.store.projects import find_project

_TAGS = ["alerts"]
_SHOWN = 200
_Act = Callable[..., Alert]  # acknowledge_alert or resolve_alert
StateFilter = Annotated[
    Literal["firing", "acknowledged", "resolved"] | None,
    QueryParameter(name="state", description="Only alerts in this state"),
]
SeverityFilter = Annotated[Severity | None, QueryParameter(description="Only alerts of this severity")]
DeploymentId = Annotated[uuid.UUID | None, QueryParameter(description="Only alerts of this deployment")]


def provide_wanted(
    project_id: FromPath[uuid.UUID],
    alert_state: StateFilter = None,
    severity: SeverityFilter = None,
    deployment_id: DeploymentId = None,
) -> AlertFilter:
    """Give the listing which alerts are asked for."""
    return AlertFilter(project_id, alert_state, severity, deployment_id)


@get(
    "/api/mlops/projects/{project_id:uuid}/alerts",
    operation_id="ListAlerts",
    summary="List alerts",
    tags=_TAGS,
    guards=[requires("read")],
    dependencies={"wanted": Provide(provide_wanted, sync_to_thread=False)},
    sync_to_thread=True,
)
def list_alerts(
    project_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
    wanted: NamedDependency[AlertFilter],
) -> AlertPage:
    """List a project's alerts, the last to fire first, resolved ones too."""
    principal.require_project(project_id)
    with database.transaction() as session:
        find_project(session, project_id)
        rows, total = alerts.list_alerts(session, wanted, Page(paging.limit, paging.offset))
    return AlertPage([AlertView.of(row) for row in rows], total, paging.limit, paging.offset)


@get(
    "/api/mlops/alerts/{alert_id:uuid}",
    operation_id="GetAlert",
    summary="Get an alert with its timeline and deliveries",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_alert(
    alert_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> AlertDetail:
    """Return an alert, each evaluation that changed something with its reason, and who was told when."""
    with database.transaction() as session:
        row = _visible(session, alert_id, principal)
        timeline = alerts.list_timeline(session, row, limit=_SHOWN)
        deliveries, _ = list_deliveries(session, alert_id, Page(_SHOWN))
    return AlertDetail(
        AlertView.of(row),
        [AlertEventView.of(event) for event in timeline],
        [DeliveryView.of(story) for story in deliveries],
    )


@post(
    "/api/mlops/alerts/{alert_id:uuid}/acknowledge",
    operation_id="AcknowledgeAlert",
    summary="Acknowledge an alert",
    tags=_TAGS,
    guards=[requires("write")],
    status_code=200,
    sync_to_thread=True,
)
def acknowledge(
    alert_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> AlertChanged:
    """Take an alert on: no repeats and no escalation from now on. Harmless when it is acknowledged; else 409."""
    return _change(database, principal, alert_id, acknowledge_alert)


@post(
    "/api/mlops/alerts/{alert_id:uuid}/resolve",
    operation_id="ResolveAlert",
    summary="Resolve an alert by hand",
    tags=_TAGS,
    guards=[requires("write")],
    status_code=200,
    sync_to_thread=True,
)
def resolve(
    alert_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> AlertChanged:
    """End an alert; its channels are told. While its condition holds, the rule fires anew. 409 when it is resolved."""
    return _change(database, principal, alert_id, resolve_alert)


@get(
    "/api/mlops/alert-rules/{rule_id:uuid}/history",
    operation_id="ListAlertRuleHistory",
    summary="Get an alert rule's history",
    tags=["alert rules"],
    guards=[requires("read")],
    sync_to_thread=True,
)
def list_history(
    rule_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
) -> AlertEventPage:
    """Return what its evaluations saw and decided, and why, newest first; those in a row that say the same are one."""
    with database.transaction() as session:
        rule = alert_rules.find_rule(session, rule_id)
        principal.require_project(rule.project_id, kind="alert rule", identifier=rule_id)
        rows, total = alert_rules.list_history(session, rule_id, Page(paging.limit, paging.offset))
    return AlertEventPage([AlertEventView.of(row) for row in rows], total, paging.limit, paging.offset)


def _visible(session: Session, alert_id: uuid.UUID, principal: Principal) -> Alert:
    row = alerts.find_alert(session, alert_id)
    principal.require_project(row.project_id, kind="alert", identifier=alert_id)
    return row


def _change(database: Database, principal: Principal, alert_id: uuid.UUID, act: _Act) -> AlertChanged:
    """Let a person act on an alert, audited when that changed it; seen, done and told under the lock of the alerts."""
    with database.transaction() as session:
        lock_alerts(session)
        before = audit.snapshot(_visible(session, alert_id, principal))
        row = act(session, alert_id, now=database_time(session), actor=principal.key_id)
        after = audit.snapshot(row)
        if after != before:
            audit.record(
                session,
                actor=principal.key_id,
                action=f"alert.{row.state}",
                subject=row,
                before=before,
                after=after,
            )
        return AlertChanged.of(row)
