"""Alert rules: add, find, list, change and remove, and what they point at."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from monitoring.store.alert_tables import AlertEvent, AlertRule, AlertState, Channel
from monitoring.store.errors import Conflict, NotFound
from monitoring.store.pages import Page, read_page
from monitoring.store.tables import Deployment, Model

RuleValues = Mapping[str, Any]
"""The columns that a caller gives, by name: all but id, project and times."""


def wrong_references(session: Session, project_id: uuid.UUID, values: RuleValues) -> dict[str, str]:
    """Say, by field, what a rule points at that its project has not: channels, deployment, feature.

    The channels are held: until the transaction ends nobody removes one.
    """
    wrong = {}
    unknown = _unknown_channels(session, project_id, values["channels"])
    if unknown:
        wrong["channels"] = f"no such channel in this project: {', '.join(map(str, unknown))}"
    deployment_id, feature = values["deployment_id"], values["feature"]
    if deployment_id is None:
        return wrong
    deployment = session.get(Deployment, deployment_id)
    if deployment is None or deployment.project_id != project_id:
        wrong["deployment_id"] = f"no such deployment in this project: {deployment_id}"
    elif feature is not None and feature not in _features_of(session, deployment):
        wrong["feature"] = f"the model of deployment {deployment.name!r} has no feature {feature!r}"
    return wrong


def add_rule(session: Session, project_id: uuid.UUID, values: RuleValues, *, now: datetime) -> AlertRule:
    """Store a new rule. Raises Conflict when the project has one of this name."""
    _refuse_taken_name(session, project_id, values["name"])
    row = AlertRule(project_id=project_id, created_at=now, updated_at=now, **values)
    session.add(row)
    session.flush()
    return row


def find_rule(session: Session, rule_id: uuid.UUID) -> AlertRule:
    """Return a rule. Raises NotFound."""
    row = session.get(AlertRule, rule_id)
    if row is None:
        raise NotFound("alert rule", rule_id)
    return row


def lock_rule(session: Session, rule_id: uuid.UUID) -> AlertRule:
    """Return a rule that nothing changes or removes until the transaction ends. Raises NotFound."""
    row = session.exec(
        select(AlertRule).where(AlertRule.id == rule_id).with_for_update().execution_options(populate_existing=True)
    ).first()
    if row is None:
        raise NotFound("alert rule", rule_id)
    return row


def list_rules(session: Session, project_id: uuid.UUID, page: Page) -> tuple[list[AlertRule], int]:
    """Return a page of a project's rules, newest first, and how many there are."""
    order = (col(AlertRule.created_at).desc(), col(AlertRule.id).desc())
    return read_page(session, AlertRule, [col(AlertRule.project_id) == project_id], order, page)


def list_states(session: Session, rule_id: uuid.UUID) -> list[AlertState]:
    """Return where a rule stands for each deployment that it has watched, the last evaluated first."""
    order = (col(AlertState.evaluated_at).desc().nulls_last(), col(AlertState.deployment_id).desc())
    return list(session.exec(select(AlertState).where(AlertState.rule_id == rule_id).order_by(*order)))


def list_history(session: Session, rule_id: uuid.UUID, page: Page) -> tuple[list[AlertEvent], int]:
    """Return a page of what a rule's evaluations saw and decided, and people did, newest first; and how many."""
    order = (col(AlertEvent.first_at).desc(), col(AlertEvent.id).desc())
    return read_page(session, AlertEvent, [col(AlertEvent.rule_id) == rule_id], order, page)


def change_rule(session: Session, row: AlertRule, values: RuleValues, *, now: datetime) -> None:
    """Store what is now said of a locked rule. Raises Conflict when the name is another's."""
    if values["name"] != row.name:
        _refuse_taken_name(session, row.project_id, values["name"])
    for name, value in values.items():
        setattr(row, name, value)
    row.updated_at = now
    session.add(row)
    session.flush()


def remove_rule(session: Session, row: AlertRule) -> None:
    """Remove a locked rule and its states; its alerts and its history stay."""
    session.delete(row)
    session.flush()


def _unknown_channels(session: Session, project_id: uuid.UUID, wanted: list[uuid.UUID]) -> list[uuid.UUID]:
    held = (
        select(Channel.id)
        .where(Channel.project_id == project_id, col(Channel.id).in_(wanted))
        .order_by(col(Channel.id))
        .with_for_update(read=True, key_share=True)
    )
    known = set(session.exec(held))
    return [channel_id for channel_id in wanted if channel_id not in known]


def _features_of(session: Session, deployment: Deployment) -> set[str]:
    features = session.exec(select(Model.features).where(Model.id == deployment.model_id)).one()
    return {feature["name"] for feature in features}


def _refuse_taken_name(session: Session, project_id: uuid.UUID, name: str) -> None:
    taken = session.exec(select(AlertRule.id).where(AlertRule.project_id == project_id, AlertRule.name == name)).first()
    if taken is not None:
        raise Conflict(f"This project has an alert rule named {name!r} already ({taken})")
