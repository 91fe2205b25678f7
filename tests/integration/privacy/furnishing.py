"""Rows for the tests of privacy, stored as the API would."""

import uuid
from datetime import UTC, datetime

from sqlmodel import Session

from monitoring.store.privacy_policies import PolicyFacts, add_policy, add_version
from monitoring.store.privacy_rules import RuleFacts, add_rule
from monitoring.store.privacy_tables import PrivacyKey

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def furnish_privacy(session: Session, project_id: uuid.UUID) -> dict[str, str]:
    """Store one of everything of privacy in a project; return the ids by their names in paths."""
    policy = add_policy(session, project_id, PolicyFacts("p", "", "custom", "active", 0.5), now=NOW)
    rule = add_rule(session, policy, RuleFacts("email_address", "redact", {}, is_enabled=True), now=NOW)
    rule_set = {"threshold": 0.5, "rules": {"email_address": {"action": "redact", "config": {}}}}
    version = add_version(session, policy, rule_set, by="x", now=NOW)
    session.add(PrivacyKey(project_id=project_id, generation=2, rotated_at=NOW))
    session.flush()
    return {
        "policy_id": str(policy.id),
        "privacy_rule_id": str(rule.id),
        "privacy_version_id": str(version.id),
    }
