from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.privacy.actions import RuleRefused, check_rule
from api.privacy.catalogue import CATALOGUE
from api.privacy.rule_set import (
    Rule,
    RuleSet,
    default_rule_set,
    effective_rules,
    is_at_least_as_strict,
    profile_rules,
)


def a_rule(pii_type: str, action: str, **config: object) -> Rule:
    return Rule(action, check_rule(pii_type, action, config))


EMAIL_RULES = {
    "drop": a_rule("email_address", "drop"),
    "redact": a_rule("email_address", "redact"),
    "replace": a_rule("email_address", "replace", value="-"),
    "hash": a_rule("email_address", "hash"),
    "pseudonymize": a_rule("email_address", "pseudonymize"),
    "mask": a_rule("email_address", "mask", show_first=2),
}


def rule_set(threshold: float = 0.5, **rules: Rule) -> RuleSet:
    return RuleSet(threshold, rules)


def is_as_strict(other: Rule, than: Rule) -> bool:
    return is_at_least_as_strict(rule_set(email_address=other), rule_set(email_address=than))


def test_the_default_covers_the_catalogue_and_travels_as_json() -> None:
    rules = default_rule_set(0.7)
    assert rules.threshold == 0.7
    assert rules.rules.keys() == CATALOGUE.keys()
    assert RuleSet.from_json(rules.to_json()) == rules


def test_a_stored_rule_that_is_none_is_refused() -> None:
    stored = {"threshold": 0.5, "rules": {"email_address": {"action": "shred", "config": {}}}}
    with pytest.raises(RuleRefused):
        RuleSet.from_json(stored)


def test_a_policys_rules_override_its_profile() -> None:
    mask = check_rule("email_address", "mask", {"show_first": 2})
    rules = effective_rules("hipaa", [("email_address", "mask", mask, True), ("phone_number", "redact", {}, False)])
    assert rules["email_address"] == Rule("mask", mask)
    assert "phone_number" not in rules
    assert rules["us_ssn"] == profile_rules("hipaa")["us_ssn"]
    assert profile_rules("hipaa")["email_address"] == Rule("redact", {})
    assert "phone_number" in profile_rules("hipaa")


def test_a_custom_policy_begins_empty() -> None:
    assert effective_rules("custom", []) == {}
    with pytest.raises(KeyError):
        profile_rules("sox")


@pytest.mark.parametrize("than", EMAIL_RULES)
@pytest.mark.parametrize("other", EMAIL_RULES)
def test_actions_are_compared_by_rank(other: str, than: str) -> None:
    ranks = {"drop": 4, "redact": 3, "replace": 2, "hash": 1, "pseudonymize": 1, "mask": 0}
    assert is_as_strict(EMAIL_RULES[other], EMAIL_RULES[than]) == (ranks[other] >= ranks[than])


def test_a_mask_may_show_less_not_more() -> None:
    wide, narrow = a_rule("iban", "mask", show_first=4), a_rule("iban", "mask", show_first=2, char="#")
    assert is_at_least_as_strict(rule_set(iban=narrow), rule_set(iban=wide))
    assert not is_at_least_as_strict(rule_set(iban=wide), rule_set(iban=narrow))
    ends = a_rule("iban", "mask", show_last=2)
    assert not is_at_least_as_strict(rule_set(iban=ends), rule_set(iban=narrow))


def test_generalizations_compare_only_when_equal() -> None:
    fine, coarse = a_rule("age", "generalize", to="age_band", width=5), a_rule("age", "generalize", to="age_band")
    assert is_at_least_as_strict(rule_set(age=fine), rule_set(age=fine))
    assert not is_at_least_as_strict(rule_set(age=coarse), rule_set(age=fine))
    assert not is_at_least_as_strict(rule_set(age=a_rule("age", "mask")), rule_set(age=fine))
    assert not is_at_least_as_strict(rule_set(age=fine), rule_set(age=a_rule("age", "mask")))


def test_a_missing_type_or_a_higher_threshold_is_weaker() -> None:
    one = rule_set(email_address=EMAIL_RULES["hash"])
    assert is_at_least_as_strict(default_rule_set(), rule_set())
    assert not is_at_least_as_strict(rule_set(), one)
    assert not is_at_least_as_strict(RuleSet(0.6, one.rules), one)
    assert is_at_least_as_strict(RuleSet(0.4, one.rules), one)


def _rule_sets() -> st.SearchStrategy[RuleSet]:
    rules: st.SearchStrategy[Mapping[str, Rule]] = st.dictionaries(
        st.sampled_from(["email_address", "person_name"]), st.sampled_from(list(EMAIL_RULES.values()))
    )
    return st.builds(RuleSet, st.sampled_from([0.3, 0.5, 0.9]), rules)


@given(_rule_sets(), _rule_sets(), _rule_sets())
def test_strictness_is_an_order(a: RuleSet, b: RuleSet, c: RuleSet) -> None:
    assert is_at_least_as_strict(a, a)
    if is_at_least_as_strict(a, b) and is_at_least_as_strict(b, c):
        assert is_at_least_as_strict(a, c)
