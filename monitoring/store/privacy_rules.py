"""The rules of a privacy policy: what it does with one type of personal data, over what its profile says."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from monitoring.store.errors import Conflict, NotFound
from monitoring.store.pages import Page, read_page
from monitoring.store.privacy_tables import PrivacyPolicy, PrivacyRule


@dataclass(frozen=True)
class RuleFacts:
    """What a caller says of a rule; `config` is checked and whole."""

    pii_type: str
    action: str
    config: Mapping[str, Any]
    is_enabled: bool


def add_rule(session: Session, policy: PrivacyPolicy, facts: RuleFacts, *, now: datetime) -> PrivacyRule:
    """Store a new rule of a locked policy. Raises Conflict when it has one for this type."""
    _refuse_taken_type(session, policy, facts.pii_type)
    row = PrivacyRule(policy_id=policy.id, created_at=now, updated_at=now, **_columns(facts))
    session.add(row)
    session.flush()
    return row


def find_rule(session: Session, policy_id: uuid.UUID, rule_id: uuid.UUID) -> PrivacyRule:
    """Return a rule of a policy. Raises NotFound."""
    row = session.exec(
        select(PrivacyRule)
        .where(PrivacyRule.id == rule_id, PrivacyRule.policy_id == policy_id)
        .execution_options(populate_existing=True)
    ).first()
    if row is None:
        raise NotFound("privacy rule", rule_id)
    return row


def list_rules(session: Session, policy_id: uuid.UUID, page: Page) -> tuple[list[PrivacyRule], int]:
    """Return a page of a policy's rules, newest first, and how many there are."""
    order = (col(PrivacyRule.created_at).desc(), col(PrivacyRule.id).desc())
    return read_page(session, PrivacyRule, [col(PrivacyRule.policy_id) == policy_id], order, page)


def read_rules(session: Session, policy_id: uuid.UUID) -> list[PrivacyRule]:
    """Return all rules of a policy by type, disabled ones too."""
    rows = select(PrivacyRule).where(PrivacyRule.policy_id == policy_id).order_by(col(PrivacyRule.pii_type))
    return list(session.exec(rows))


def change_rule(session: Session, policy: PrivacyPolicy, row: PrivacyRule, facts: RuleFacts, *, now: datetime) -> None:
    """Store what is now said of a rule of a locked policy. Raises Conflict when the type has another rule."""
    if facts.pii_type != row.pii_type:
        _refuse_taken_type(session, policy, facts.pii_type)
    for name, value in _columns(facts).items():
        setattr(row, name, value)
    row.updated_at = now
    session.add(row)
    session.flush()


def remove_rule(session: Session, row: PrivacyRule) -> None:
    """Remove a rule of a locked policy: what the profile says of its type holds again."""
    session.delete(row)
    session.flush()


def _columns(facts: RuleFacts) -> dict[str, Any]:
    return vars(facts) | {"config": dict(facts.config)}


def _refuse_taken_type(session: Session, policy: PrivacyPolicy, pii_type: str) -> None:
    taken = session.exec(
        select(PrivacyRule.id).where(PrivacyRule.policy_id == policy.id, PrivacyRule.pii_type == pii_type)
    ).first()
    if taken is not None:
        raise Conflict(f"Privacy policy {policy.name!r} has a rule for {pii_type} already ({taken})")
