"""Rule sets: what is done with each type of personal data, and from which score on."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Self

from api.privacy.catalogue import CATALOGUE
from api.privacy.rule_checks import RANKS, check_rule

DEFAULT_THRESHOLD = 0.5
PROFILES = ("hipaa", "gdpr", "pci_dss", "ccpa", "custom")
_SHOWN = ("show_first", "show_last")


@dataclass(frozen=True)
class Rule:
    """What is done with one type; `config` as `check_rule` returns it."""

    action: str
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RuleSet:
    """The enabled rules by type, and the score from which on they act."""

    threshold: float
    rules: Mapping[str, Rule]

    def to_json(self) -> dict[str, Any]:
        """Return it as `privacy_version.rule_set` keeps it."""
        rules = {name: {"action": rule.action, "config": dict(rule.config)} for name, rule in self.rules.items()}
        return {"threshold": self.threshold, "rules": rules}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote; raises RuleRefused when a rule is none."""
        rules = {
            name: Rule(rule["action"], check_rule(name, rule["action"], rule["config"]))
            for name, rule in stored["rules"].items()
        }
        return cls(float(stored["threshold"]), rules)


def default_rule_set(threshold: float = DEFAULT_THRESHOLD) -> RuleSet:
    """Return the rules of a deployment that masks without a policy: each type's own default action."""
    return RuleSet(threshold, default_rules())


@cache
def default_rules() -> Mapping[str, Rule]:
    """Return the catalogue's default action of every type."""
    return {name: Rule(kind.action, check_rule(name, kind.action, kind.config)) for name, kind in CATALOGUE.items()}


@cache
def profile_rules(profile: str) -> Mapping[str, Rule]:
    """Return the rules a profile begins with, none for `custom`; raises KeyError for an unknown profile."""
    if profile not in PROFILES:
        raise KeyError(profile)
    if profile == "custom":
        return {}
    rules = _read_profile(profile)["rules"]
    return {
        name: Rule(rule["action"], check_rule(name, rule["action"], rule.get("config", {}), profile=profile))
        for name, rule in rules.items()
    }


def _read_profile(profile: str) -> dict[str, Any]:
    return tomllib.loads((files("api.privacy") / "data" / "profiles" / f"{profile}.toml").read_text(encoding="utf-8"))


def effective_rules(profile: str, overrides: Iterable[tuple[str, str, Mapping[str, Any], bool]]) -> dict[str, Rule]:
    """Return a profile's rules overridden by a policy's own, given as (pii_type, action, config, is_enabled)."""
    rules = dict(profile_rules(profile))
    for pii_type, action, config, is_enabled in overrides:
        if is_enabled:
            rules[pii_type] = Rule(action, config)
        else:
            rules.pop(pii_type, None)
    return rules


def is_at_least_as_strict(other: RuleSet, than: RuleSet) -> bool:
    """Tell whether everything that `than` masks is masked by `other` too, from no higher score and no less.

    Ranks: drop, redact, replace, then hash and pseudonymize, then mask and generalize. A mask may show less, another
    generalization counts as weaker, and so does a mask for a generalization.
    """
    if other.threshold > than.threshold:
        return False
    return all(
        name in other.rules and _is_no_weaker(name, other.rules[name], rule) for name, rule in than.rules.items()
    )


def _is_no_weaker(pii_type: str, other: Rule, rule: Rule) -> bool:
    if RANKS[other.action] != RANKS[rule.action] or RANKS[rule.action] > RANKS["mask"]:
        return RANKS[other.action] >= RANKS[rule.action]
    if other.action != rule.action:
        return False
    theirs, ours = (check_rule(pii_type, one.action, one.config) for one in (other, rule))
    if rule.action == "mask":
        return all(theirs[name] <= ours[name] for name in _SHOWN)
    return theirs == ours
