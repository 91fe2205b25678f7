"""Privacy that a single request asks for: it may strengthen what its deployment does, and weaken it as admin only."""

import uuid

from api.privacy.loading import PrivacyLoader
from api.privacy.rule_set import is_at_least_as_strict
from api.privacy.serving import Privacy
from api.schemas.predictions import PredictOptions
from monitoring.store.deployments import ServingFacts
from monitoring.store.errors import Conflict, NotFound


class Weaker(Exception):
    """The request asks for less privacy than its deployment keeps, without the scope for it."""


class NoSuchPolicy(Exception):
    """The request names a policy that its project does not have."""


def asks_for_privacy(options: PredictOptions) -> bool:
    """Say whether a request has a wish of its own."""
    return (
        options.privacy_policy_id is not None
        or options.anonymize_logs is not None
        or options.anonymize_response is not None
    )


class Overrides:
    """Decides what masks one request; blocks, and may be called from any thread."""

    def __init__(self, loader: PrivacyLoader) -> None:
        self._loader = loader

    def choose(
        self, facts: ServingFacts, own: Privacy | None, options: PredictOptions, *, may_weaken: bool
    ) -> Privacy | None:
        """Return what masks a request to a deployment that masks by `own`; None when nothing is masked.

        Raises Weaker, NoSuchPolicy, Conflict for a draft, or what the database raises when it is away.
        """
        if own is not None and not may_weaken:
            _refuse_less(own, options)
        chosen = own
        if options.privacy_policy_id is not None:
            chosen = self._by_policy(facts, own, options.privacy_policy_id, may_weaken=may_weaken)
        elif own is None and (options.anonymize_logs or options.anonymize_response):
            chosen = self._loader.default(facts)
        if chosen is None:
            return None
        logs, response = options.anonymize_logs, options.anonymize_response
        return chosen.told(
            logs=chosen.logs if logs is None else logs, response=chosen.response if response is None else response
        )

    def _by_policy(self, facts: ServingFacts, own: Privacy | None, named: str, *, may_weaken: bool) -> Privacy:
        try:
            policy = self._loader.rule_set(uuid.UUID(named))
        except (ValueError, NotFound) as error:
            raise NoSuchPolicy from error
        if policy.project_id != facts.project_id:
            raise NoSuchPolicy
        if policy.status != "active":
            raise Conflict(f"Privacy policy {policy.policy_id} is a {policy.status}: only active ones mask")
        chosen = self._loader.by_policy(facts, policy)
        if own is not None and not may_weaken and not _is_as_strict(chosen, own):
            raise Weaker("The privacy policy asked for masks less than the deployment's own: that needs scope `admin`")
        return chosen


def _refuse_less(own: Privacy, options: PredictOptions) -> None:
    less = [
        name
        for name, asked, kept in (
            ("anonymize_logs", options.anonymize_logs, own.logs),
            ("anonymize_response", options.anonymize_response, own.response),
        )
        if kept and asked is False
    ]
    if less:
        raise Weaker(f"The deployment masks more than {' and '.join(less)}: false asks for: that needs scope `admin`")


def _is_as_strict(chosen: Privacy, own: Privacy) -> bool:
    """Compare by the rules as they act; what masks by no rules at all compares with nothing."""
    if chosen.rules is None or own.rules is None:
        return False
    return chosen.version_id == own.version_id or is_at_least_as_strict(chosen.rules, own.rules)
