"""What is to be watched: each enabled rule with the deployment it is about, and where it stands there."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from monitoring.alerting import Reason, WatchState
from monitoring.rules import Rule
from monitoring.store.alert_tables import AlertRule, AlertState
from monitoring.store.errors import NotFound
from monitoring.store.tables import Deployment, Model, Project


@dataclass(frozen=True, kw_only=True)
class Watch:
    """A rule and a deployment: what deciding and telling need to know of them, and where they stand.

    `watched` names what the state's phase is about (None: never evaluated); `value` and `samples` are as last seen.
    """

    rule: Rule
    channels: tuple[uuid.UUID, ...]
    project_id: uuid.UUID
    project_name: str
    deployment_id: uuid.UUID
    deployment_name: str
    stage: str
    model_name: str
    state: WatchState
    watched: str | None
    alert_id: uuid.UUID | None
    value: float | None
    samples: int | None

    @property
    def key(self) -> dict[str, uuid.UUID]:
        """Return the primary key of its state."""
        return {"rule_id": self.rule.rule_id, "deployment_id": self.deployment_id}


@dataclass(frozen=True)
class Stray:
    """A watch that is not at rest although its rule is no longer about it, and why."""

    watch: Watch
    reason: Reason
    detail: str


def list_watches(session: Session, *, rule_id: uuid.UUID | None = None) -> list[Watch]:
    """Return the watches of all enabled rules, or of one rule, whether enabled or not: active deployments only."""
    wanted = col(AlertRule.is_enabled).is_(True) if rule_id is None else col(AlertRule.id) == rule_id
    return [_watch(*row) for row in session.execute(_watches(wanted, _is_target()))]


def find_watch(session: Session, rule_id: uuid.UUID, deployment_id: uuid.UUID) -> Watch:
    """Return a rule's watch of a deployment, whether it is its target now or not. Raises NotFound."""
    row = session.execute(
        _watches(col(AlertRule.id) == rule_id, and_(col(Deployment.id) == deployment_id))
    ).one_or_none()
    if row is None:
        raise NotFound("watch of rule", f"{rule_id} on deployment {deployment_id}")
    return _watch(*row)


def list_open_watches(session: Session, rule_id: uuid.UUID) -> list[Watch]:
    """Return the watches of a rule that are not at rest: pending, firing or acknowledged."""
    at_rest = col(AlertState.phase) == "ok"
    rows = session.execute(_watches(col(AlertRule.id) == rule_id, _has_state()).where(~at_rest))
    return [_watch(*row) for row in rows]


def list_strays(session: Session) -> list[Stray]:
    """Return every watch not at rest that its rule no longer wants, each with the reason to withdraw it."""
    successor = aliased(Deployment)
    is_successor = and_(
        col(successor.project_id) == col(AlertRule.project_id),
        col(successor.stage) == "production",
        col(successor.status) == "active",
    )
    statement = (
        _watches(col(AlertState.phase) != "ok", _has_state())
        .add_columns(AlertRule, Deployment, col(successor.name))
        .outerjoin(successor, is_successor)
    )
    strays = []
    for *facts, rule, deployment, in_production in session.execute(statement):
        watch = _watch(*facts)
        why = _why_stray(watch, rule, deployment, in_production)
        if why is not None:
            strays.append(Stray(watch, *why))
    return strays


def last_evaluation(session: Session) -> datetime | None:
    """Return when a watch was last evaluated."""
    return session.exec(select(func.max(AlertState.evaluated_at))).one()


def watched_by(rule: Rule) -> str:
    """Name what a rule watches: its metric, and its feature if it has one. A phase is about this and nothing else."""
    return rule.metric if rule.feature is None else f"{rule.metric}:{rule.feature}"


def rule_of(row: AlertRule) -> Rule:
    """Return what deciding needs to know of a stored rule."""
    return Rule(
        rule_id=row.id,
        name=row.name,
        metric=cast("Any", row.metric),
        feature=row.feature,
        operator=cast("Any", row.operator),
        threshold=row.threshold,
        severity=cast("Any", row.severity),
        window_minutes=row.window_minutes,
        for_minutes=row.for_minutes,
        min_samples=row.min_samples,
        cooldown_minutes=row.cooldown_minutes,
        escalation_minutes=row.escalation_minutes,
        escalation_severity=cast("Any", row.escalation_severity),
        no_data=cast("Any", row.no_data),
        notify_resolved=row.notify_resolved,
    )


def _why_stray(
    watch: Watch, rule: AlertRule, deployment: Deployment, in_production: str | None
) -> tuple[Reason, str] | None:
    name = repr(deployment.name)
    if not rule.is_enabled:
        return "rule_disabled", "the rule was disabled"
    if watch.watched != watched_by(watch.rule):
        return "rule_changed", f"the rule watches {watched_by(watch.rule)} now, no longer {watch.watched}"
    if rule.deployment_id not in {None, deployment.id}:
        return "rule_changed", f"the rule watches another deployment now, no longer {name}"
    if rule.deployment_id is None and in_production is not None and deployment.stage != "production":
        return "promoted_away", f"{in_production!r} is in production now, no longer {name}"
    if deployment.status != "active" or (rule.deployment_id is None and deployment.stage != "production"):
        return "deployment_inactive", f"{name} is no longer {'active' if rule.deployment_id else 'in production'}"
    return None


def _is_target() -> ColumnElement[bool]:
    in_production = and_(
        col(AlertRule.deployment_id).is_(None),
        col(Deployment.project_id) == col(AlertRule.project_id),
        col(Deployment.stage) == "production",
    )
    return and_(
        or_(col(AlertRule.deployment_id) == col(Deployment.id), in_production), col(Deployment.status) == "active"
    )


def _has_state() -> ColumnElement[bool]:
    return and_(col(AlertState.rule_id) == col(AlertRule.id), col(AlertState.deployment_id) == col(Deployment.id))


def _watches(wanted: ColumnElement[bool], target: ColumnElement[bool]) -> Any:  # noqa: ANN401 - a Select of seven columns
    return (
        select(  # type: ignore[call-overload]
            AlertRule, col(Project.name), col(Deployment.id), Deployment.name, Deployment.stage, Model.name, AlertState
        )
        .join(Project, col(Project.id) == col(AlertRule.project_id))
        .join(Deployment, Deployment.project_id == col(AlertRule.project_id))
        .join(Model, col(Model.id) == col(Deployment.model_id))
        .outerjoin(AlertState, _has_state())
        .where(wanted, target)
        .order_by(col(AlertRule.id), col(Deployment.id))
        .execution_options(populate_existing=True)
    )


def _watch(  # noqa: PLR0913, PLR0917 - the columns of one row
    row: AlertRule,
    project_name: str,
    deployment_id: uuid.UUID,
    deployment_name: str,
    stage: str,
    model_name: str,
    state: AlertState | None,
) -> Watch:
    return Watch(
        rule=rule_of(row),
        channels=tuple(row.channels),
        project_id=row.project_id,
        project_name=project_name,
        deployment_id=deployment_id,
        deployment_name=deployment_name,
        stage=stage,
        model_name=model_name,
        state=WatchState() if state is None else _state_of(state),
        watched=None if state is None else state.watched,
        alert_id=None if state is None else state.alert_id,
        value=None if state is None else state.value,
        samples=None if state is None else state.samples,
    )


def _state_of(row: AlertState) -> WatchState:
    return WatchState(
        phase=cast("Any", row.phase),
        cause=cast("Any", row.cause),
        pending_since=row.pending_since,
        firing_since=row.firing_since,
        severity=cast("Any", row.severity),
        told=row.told,
        escalated=row.escalated,
        escalation_told=row.escalation_told,
        last_notice_at=row.last_notice_at,
        evaluated_at=row.evaluated_at,
    )


def windows_wanted(watches: Sequence[Watch]) -> dict[tuple[uuid.UUID, int], frozenset[Any]]:
    """Return which metrics the watches ask for, by deployment and window in minutes."""
    wanted: dict[tuple[uuid.UUID, int], set[Any]] = {}
    for watch in watches:
        wanted.setdefault((watch.deployment_id, watch.rule.window_minutes), set()).add(watch.rule.metric)
    return {key: frozenset(metrics) for key, metrics in wanted.items()}
