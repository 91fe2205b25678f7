"""What serving must know of privacy: which rule set masks a deployment's rows, and with which key."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from monitoring.store.errors import NotFound
from monitoring.store.privacy_tables import PrivacyKey, PrivacyPolicy, PrivacyVersion

DEFAULT_VERSION_ID = uuid.uuid5(uuid.NAMESPACE_URL, "pilothouse:privacy:catalogue-defaults")
"""What log rows name when no policy but the catalogue's own default actions masked them."""

FIRST_GENERATION = 1


@dataclass(frozen=True)
class PrivacyFacts:
    """How a deployment's rows and answers are masked.

    `rule_set` is the JSON of a privacy_version; None means the catalogue's default actions, under DEFAULT_VERSION_ID.
    `threshold` is the deployment's own, over the rule set's; `logs` and `response` say what is masked.
    """

    version_id: uuid.UUID
    rule_set: dict[str, Any] | None = field(hash=False)
    column_map: dict[str, str] = field(hash=False)
    threshold: float | None
    logs: bool
    response: bool
    key_generation: int


@dataclass(frozen=True)
class RuleSetFacts:
    """A policy's rule set as it stands, and the id that log rows give it."""

    project_id: uuid.UUID
    policy_id: uuid.UUID
    status: str
    version_id: uuid.UUID
    rule_set: dict[str, Any] = field(hash=False)


def is_masking(config: Mapping[str, Any]) -> bool:
    """Say whether a deployment with this configuration masks anything."""
    wanted = ("privacy_policy_id", "privacy_anonymize_logs", "privacy_anonymize_response", "privacy_column_map")
    return any(config.get(name) for name in wanted)


def named_policy(config: Mapping[str, Any]) -> uuid.UUID | None:
    """Return the id of the policy that a deployment's configuration names."""
    named = config.get("privacy_policy_id")
    return uuid.UUID(named) if named else None


def find_rule_set(session: Session, policy_id: uuid.UUID) -> RuleSetFacts:
    """Return a policy's rule set as it stands; drafts have one too. Raises NotFound."""
    found = read_rule_sets(session, [policy_id]).get(policy_id)
    if found is None:
        raise NotFound("privacy policy", policy_id)
    return found


def read_rule_sets(session: Session, policy_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, RuleSetFacts]:
    """Return the newest rule sets of those policies that exist, by the policy's id."""
    if not policy_ids:
        return {}
    found = session.exec(
        select(PrivacyPolicy, PrivacyVersion)
        .join(PrivacyVersion, col(PrivacyVersion.policy_id) == col(PrivacyPolicy.id))
        .where(col(PrivacyPolicy.id).in_(policy_ids), col(PrivacyVersion.number) == col(PrivacyPolicy.version))
        .execution_options(populate_existing=True)
    )
    return {
        policy.id: RuleSetFacts(policy.project_id, policy.id, policy.status, version.id, version.rule_set)
        for policy, version in found
    }


def read_key_generations(session: Session, project_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return which generation of the key is in use, for each of the projects."""
    rows = select(PrivacyKey.project_id, PrivacyKey.generation).where(col(PrivacyKey.project_id).in_(project_ids))
    return dict.fromkeys(project_ids, FIRST_GENERATION) | dict(session.exec(rows).all())


def privacy_facts(
    config: Mapping[str, Any], rule_sets: Mapping[uuid.UUID, RuleSetFacts], *, key_generation: int
) -> PrivacyFacts | None:
    """Return what a deployment's configuration means, or None when it masks nothing.

    A policy that is not there masks like none at all: by the catalogue's defaults, so that nothing goes out raw.
    """
    if not is_masking(config):
        return None
    policy_id = named_policy(config)
    rules = None if policy_id is None else rule_sets.get(policy_id)
    logs, response = config.get("privacy_anonymize_logs"), config.get("privacy_anonymize_response")
    return PrivacyFacts(
        version_id=DEFAULT_VERSION_ID if rules is None else rules.version_id,
        rule_set=None if rules is None else rules.rule_set,
        column_map=dict(config.get("privacy_column_map") or {}),
        threshold=config.get("privacy_threshold"),
        logs=True if logs is None else bool(logs),
        response=True if response is None else bool(response),
        key_generation=key_generation,
    )
