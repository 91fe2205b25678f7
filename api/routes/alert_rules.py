"""Alert rules: when to alert whom. What changes a rule also ends the alerts that it no longer stands for."""

import uuid

from litestar import delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlmodel import Session

from api.auth import Principal, requires
from api.errors import FieldError, Invalid
from api.idempotency import Once
from api.schemas.alert_rules import AlertRuleCreate, AlertRuleDetail, AlertRulePage, AlertRulePatch, AlertRuleView
from api.schemas.common import JsonObject, Paging
from monitoring.alerting import Reason
from monitoring.store import alert_rules, audit
from monitoring.store.alert_steps import lock_alerts, withdraw_rule
from monitoring.store.alert_tables import AlertRule
from monitoring.store.clock import database_time
from monitoring.store.database import Database
from monitoring.store.pages import Page
from monitoring.store.projects import find_project, hold_project

_TAGS = ["alert rules"]
_WATCHED = ("deployment_id", "metric", "feature")


@post(
    "/api/mlops/projects/{project_id:uuid}/alert-rules",
    operation_id="CreateAlertRule",
    summary="Make an alert rule",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def create_alert_rule(
    project_id: FromPath[uuid.UUID],
    data: JSONBody[AlertRuleCreate],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    once: NamedDependency[Once],
) -> AlertRuleView:
    """Make a rule; it is evaluated every minute. Without `deployment_id` it watches what is in production."""
    principal.require_project(project_id)
    values = data.values()
    with once.claim(data) as claim, database.transaction() as session:
        hold_project(session, project_id)
        _check_references(session, project_id, values)
        row = alert_rules.add_rule(session, project_id, values, now=database_time(session))
        audit.record(
            session, actor=principal.key_id, action="alert_rule.created", subject=row, after=audit.snapshot(row)
        )
        answer = AlertRuleView.of(row)
        claim.keep(session, answer)
    return answer


@get(
    "/api/mlops/projects/{project_id:uuid}/alert-rules",
    operation_id="ListAlertRules",
    summary="List alert rules",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def list_alert_rules(
    project_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
) -> AlertRulePage:
    """List a project's alert rules, disabled ones too."""
    principal.require_project(project_id)
    with database.transaction() as session:
        find_project(session, project_id)
        rows, total = alert_rules.list_rules(session, project_id, Page(paging.limit, paging.offset))
    return AlertRulePage([AlertRuleView.of(row) for row in rows], total, paging.limit, paging.offset)


@get(
    "/api/mlops/alert-rules/{rule_id:uuid}",
    operation_id="GetAlertRule",
    summary="Get an alert rule with where it stands",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_alert_rule(
    rule_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> AlertRuleDetail:
    """Return a rule, and for each deployment its phase, last value, and the reason in a sentence."""
    with database.transaction() as session:
        row = alert_rules.find_rule(session, rule_id)
        principal.require_project(row.project_id, kind="alert rule", identifier=rule_id)
        states = alert_rules.list_states(session, rule_id)
    return AlertRuleDetail.with_states(row, states)


@put(
    "/api/mlops/alert-rules/{rule_id:uuid}",
    operation_id="ReplaceAlertRule",
    summary="Replace an alert rule",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def replace_alert_rule(
    rule_id: FromPath[uuid.UUID],
    data: JSONBody[AlertRuleCreate],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
) -> AlertRuleView:
    """Say anew all of a rule: what is left out takes its default. Of open alerts see the PATCH."""
    values = data.values()
    with database.transaction() as session:
        return _change(session, _locked(session, rule_id, principal), values, principal.key_id)


@patch(
    "/api/mlops/alert-rules/{rule_id:uuid}",
    operation_id="UpdateAlertRule",
    summary="Change an alert rule",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def update_alert_rule(
    rule_id: FromPath[uuid.UUID],
    data: JSONBody[AlertRulePatch],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
) -> AlertRuleView:
    """Change some fields of a rule; null takes one away.

    Disabling it, or another deployment, metric or feature, resolves its open alerts with that reason; any other change
    counts from the next evaluation on.
    """
    with database.transaction() as session:
        row = _locked(session, rule_id, principal)
        return _change(session, row, data.over(row).values(), principal.key_id)


@delete(
    "/api/mlops/alert-rules/{rule_id:uuid}",
    operation_id="DeleteAlertRule",
    summary="Remove an alert rule",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def delete_alert_rule(
    rule_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> None:
    """Remove a rule. Its open alerts resolve with that reason; its alerts stay."""
    with database.transaction() as session:
        row = _locked(session, rule_id, principal)
        before = audit.snapshot(row)
        _withdraw(session, row, "rule_deleted", f"the rule {row.name!r} was removed", principal.key_id)
        alert_rules.remove_rule(session, row)
        audit.record(session, actor=principal.key_id, action="alert_rule.deleted", subject=row, before=before)


def _check_references(session: Session, project_id: uuid.UUID, values: JsonObject) -> None:
    wrong = alert_rules.wrong_references(session, project_id, values)
    if wrong:
        raise Invalid(*(FieldError(field, message) for field, message in wrong.items()))


def _locked(session: Session, rule_id: uuid.UUID, principal: Principal) -> AlertRule:
    """Return a rule that no evaluation and no other change touches until the transaction ends."""
    seen = alert_rules.find_rule(session, rule_id)
    principal.require_project(seen.project_id, kind="alert rule", identifier=rule_id)
    lock_alerts(session)
    hold_project(session, seen.project_id)
    return alert_rules.lock_rule(session, rule_id)


def _change(session: Session, row: AlertRule, values: JsonObject, actor: str) -> AlertRuleView:
    _check_references(session, row.project_id, values)
    before = audit.snapshot(row)
    reason = _withdrawal(row, values)
    if reason is not None:
        _withdraw(session, row, *reason, actor)
    alert_rules.change_rule(session, row, values, now=database_time(session))
    audit.record(
        session, actor=actor, action="alert_rule.updated", subject=row, before=before, after=audit.snapshot(row)
    )
    return AlertRuleView.of(row)


def _withdrawal(row: AlertRule, values: JsonObject) -> tuple[Reason, str] | None:
    """Say why a change ends the rule's open alerts, as name and sentence; None when it does not."""
    if row.is_enabled and not values["is_enabled"]:
        return "rule_disabled", f"the rule {row.name!r} was disabled"
    changed = [name for name in _WATCHED if getattr(row, name) != values[name]]
    if changed:
        return "rule_changed", f"the rule {row.name!r} watches another {changed[0].removesuffix('_id')} now"
    return None


def _withdraw(session: Session, row: AlertRule, reason: Reason, detail: str, actor: str) -> None:
    withdraw_rule(session, row.id, reason=reason, detail=detail, now=database_time(session), actor=actor)
