"""One change of a privacy policy inside its transaction: checked, versioned, audited, announced."""

import uuid
from datetime import datetime
from typing import Any

from sqlmodel import Session

from api.auth import Principal
from api.errors import FieldError, Invalid
from api.privacy.rule_checks import RuleRefused, check_rule
from api.privacy.rule_set import RuleSet, effective_rules
from api.schemas.privacy import RuleCreate
from monitoring.store import audit
from monitoring.store.changes import announce
from monitoring.store.clock import database_time
from monitoring.store.privacy_policies import add_version, attached_deployments, find_policy, lock_policy
from monitoring.store.privacy_rules import RuleFacts, read_rules
from monitoring.store.privacy_tables import PrivacyPolicy
from monitoring.store.projects import hold_project

_PCI_CARD_DATA = frozenset({"credit_card_number", "card_security_code", "card_pin", "card_track_data"})


class PolicyChange:
    """Holds a policy from its making to the end of the transaction; what is recorded of it goes into one version."""

    def __init__(self, session: Session, policy: PrivacyPolicy, actor: str) -> None:
        self._session = session
        self._actor = actor
        self.policy = policy
        self.now: datetime = database_time(session)
        self.touched: list[uuid.UUID] = []

    @classmethod
    def begin(cls, session: Session, policy_id: uuid.UUID, principal: Principal) -> "PolicyChange":
        """Take the policy and its project. Raises NotFound."""
        seen = find_policy(session, policy_id)
        principal.require_project(seen.project_id, kind="privacy policy", identifier=policy_id)
        hold_project(session, seen.project_id)
        return cls(session, lock_policy(session, policy_id), principal.key_id)

    def record(self, action: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
        """Write down the change in the audit log."""
        audit.record(self._session, actor=self._actor, action=action, subject=self.policy, before=before, after=after)

    def renew(self) -> None:
        """Store the rule set as it stands as the next version, and let every process that masks by it know.

        Raises Invalid when a rule of the policy goes beyond what its profile allows.
        """
        rule_set = self._rule_set()
        add_version(self._session, self.policy, rule_set.to_json(), by=self._actor, now=self.now)
        self.touched = [each.id for each in attached_deployments(self._session, self.policy)]
        for deployment_id in self.touched:
            announce(self._session, "deployment", deployment_id)

    def checked(self, said: RuleCreate) -> RuleFacts:
        """Return a rule as it is stored. Raises Invalid."""
        try:
            config = check_rule(said.pii_type, said.action, said.config, profile=self.policy.profile)
            _check_enabled(self.policy.profile, said.pii_type, said.is_enabled)
        except RuleRefused as refused:
            raise Invalid(FieldError(refused.field, refused.message)) from refused
        return RuleFacts(said.pii_type, said.action, config, said.is_enabled)

    def _rule_set(self) -> RuleSet:
        profile, own = self.policy.profile, []
        for rule in read_rules(self._session, self.policy.id):
            try:
                config = check_rule(rule.pii_type, rule.action, rule.config, profile=profile)
                _check_enabled(profile, rule.pii_type, rule.is_enabled)
            except RuleRefused as refused:
                said = f"{profile} does not allow the policy's rule for {rule.pii_type}: {refused.message}"
                raise Invalid(FieldError("profile", said)) from refused
            own.append((rule.pii_type, rule.action, config, rule.is_enabled))
        return RuleSet(self.policy.confidence_threshold, effective_rules(profile, own))


def _check_enabled(profile: str, pii_type: str, is_enabled: bool) -> None:
    if profile == "pci_dss" and pii_type in _PCI_CARD_DATA and not is_enabled:
        raise RuleRefused("is_enabled", "PCI DSS does not let card data be kept as it is: the rule cannot be disabled")
