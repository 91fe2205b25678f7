"""What is done with a found value: the seven actions, compiled to functions of its text."""

from collections.abc import Callable, Mapping
from typing import Any

from api.privacy.dates import compile_year
from api.privacy.generalizing import coarsen_network, compile_band, compile_decimals, compile_prefix, compile_step
from api.privacy.masking import compile_mask
from api.privacy.pseudonyms import compile_hash, compile_pseudonym
from api.privacy.rule_checks import ACTIONS, RANKS, RuleRefused, check_rule

__all__ = ["ACTIONS", "RANKS", "Act", "RuleRefused", "check_rule", "compile_action", "redacted"]

Act = Callable[[str], str | None]


def redacted(pii_type: str) -> str:
    """Return what stands in place of a redacted value."""
    return f"[{pii_type.upper()}]"


def compile_action(pii_type: str, action: str, config: Mapping[str, Any], key: bytes) -> Act:
    """Return the function that gives what is kept of a value's text: None when it is dropped.

    `key` is the project's, for hash and pseudonymize. A value that cannot be generalized is redacted. Raises
    RuleRefused when there is no such rule.
    """
    config = check_rule(pii_type, action, config)
    if action == "mask":
        return compile_mask(pii_type, config["show_first"], config["show_last"], config["char"])
    if action == "hash":
        return compile_hash(pii_type, key)
    if action == "pseudonymize":
        return compile_pseudonym(pii_type, key)
    if action == "generalize":
        return _generalize(pii_type, config)
    return _constant({"drop": None, "redact": redacted(pii_type), "replace": config.get("value")}[action])


def _constant(kept: str | None) -> Act:
    return lambda _text: kept


def _generalize(pii_type: str, config: Mapping[str, Any]) -> Act:
    coarsen, instead = _coarsen(pii_type, config), redacted(pii_type)

    def act(text: str) -> str:
        coarse = coarsen(text)
        return instead if coarse is None else coarse

    return act


def _coarsen(pii_type: str, config: Mapping[str, Any]) -> Act:
    target = config["to"]
    if target in {"year", "month"}:
        return compile_year(with_month=target == "month", of_birth=pii_type == "date_of_birth")
    if target == "network":
        return coarsen_network
    if target == "age_band":
        return compile_band(config["width"])
    if target == "step":
        return compile_step(config["step"])
    return compile_prefix(config["length"]) if target == "postal_prefix" else compile_decimals(config["decimals"])
