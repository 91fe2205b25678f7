"""Making what masks a deployment's data: out of its facts, or with another policy that a request names."""

import json
import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from api.privacy.catalogue import CATALOGUE
from api.privacy.masker import Masker
from api.privacy.row_bins import RowBins
from api.privacy.rule_set import Rule, RuleSet, default_rule_set
from api.privacy.serving import FailureCounter, Privacy
from monitoring.store.database import Database
from monitoring.store.deployments import ServingFacts
from monitoring.store.frozen_bins import read_frozen_bins
from monitoring.store.privacy_facts import DEFAULT_VERSION_ID, PrivacyFacts, RuleSetFacts, find_rule_set

logger = logging.getLogger(__name__)

_REMEMBERED = 128
_FAILED = "The inputs could not be masked, so they are not kept (no masker: {})"

KeyOf = Callable[[uuid.UUID, int], bytes]


class PrivacyLoader:
    """Makes them, and remembers the last ones made; methods block and may be called from any thread."""

    def __init__(self, database: Database, key_of: KeyOf) -> None:
        """Take what gives a project's key by its id and the key's generation."""
        self.failures = FailureCounter()
        self._database = database
        self._key_of = key_of
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[Any, ...], Privacy] = OrderedDict()

    def of(self, facts: ServingFacts) -> Privacy | None:
        """Return what masks a deployment's data, None when nothing does.

        One that cannot be made fails closed. Raises what the database raises when it is away.
        """
        return None if facts.privacy is None else self._of(facts, facts.privacy)

    def default(self, facts: ServingFacts) -> Privacy:
        """Return what masks by the catalogue's own actions, for a request to a deployment that does not mask."""
        return self._of(facts, _without_policy(facts))

    def rule_set(self, policy_id: uuid.UUID) -> RuleSetFacts:
        """Return a policy's rule set as it stands now. Raises NotFound."""
        with self._database.transaction() as session:
            return find_rule_set(session, policy_id)

    def by_policy(self, facts: ServingFacts, policy: RuleSetFacts) -> Privacy:
        """Return what masks a deployment's data by another policy than its own; its columns stay mapped."""
        own = facts.privacy or _without_policy(facts)
        return self._of(facts, replace(own, version_id=policy.version_id, rule_set=policy.rule_set))

    def _of(self, facts: ServingFacts, wanted: PrivacyFacts) -> Privacy:
        mapped = json.dumps(wanted.column_map, sort_keys=True)
        known_as = (facts.project_id, facts.model_id, replace(wanted, rule_set=None, column_map={}), mapped)
        with self._lock:
            known = self._made.get(known_as)
        if known is not None:
            return known
        with self._database.transaction() as session:
            names, profiles = read_frozen_bins(session, facts.model_id)
        made = self._make(facts.project_id, wanted, frozenset(names), profiles)
        if made.failure is None:
            with self._lock:
                self._made[known_as] = made
                while len(self._made) > _REMEMBERED:
                    self._made.popitem(last=False)
        return made

    def _make(
        self, project_id: uuid.UUID, wanted: PrivacyFacts, names: frozenset[str], profiles: list[dict[str, Any]]
    ) -> Privacy:
        closed = Privacy(
            version_id=wanted.version_id,
            logs=wanted.logs,
            response=wanted.response,
            rules=None,
            masker=None,
            bins=RowBins([]),
            features=names,
            failures=self.failures,
        )
        try:
            rule_set = default_rule_set() if wanted.rule_set is None else RuleSet.from_json(wanted.rule_set)
            masker = Masker(
                rule_set,
                column_map=wanted.column_map,
                threshold=wanted.threshold,
                key=self._key_of(project_id, wanted.key_generation),
                version_id=wanted.version_id,
                known_columns=names,
            )
            return replace(closed, rules=_effective(rule_set, wanted), masker=masker, bins=RowBins(profiles))
        except Exception as error:
            logger.exception("no masker can be made of rule set %s: inputs are not kept meanwhile", wanted.version_id)
            return replace(closed, failure=_FAILED.format(type(error).__name__))


def _without_policy(facts: ServingFacts) -> PrivacyFacts:
    return PrivacyFacts(
        version_id=DEFAULT_VERSION_ID,
        rule_set=None,
        column_map={},
        threshold=None,
        logs=True,
        response=True,
        key_generation=facts.privacy_key_generation,
    )


def _effective(rule_set: RuleSet, wanted: PrivacyFacts) -> RuleSet:
    """Return the rules as they act on a deployment: with its own threshold, and with those of mapped columns."""
    mapped = {
        pii_type: Rule(CATALOGUE[pii_type].action, CATALOGUE[pii_type].config)
        for pii_type in wanted.column_map.values()
    }
    threshold = rule_set.threshold if wanted.threshold is None else wanted.threshold
    return RuleSet(threshold, mapped | dict(rule_set.rules))
