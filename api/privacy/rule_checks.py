"""Which rules there can be: the configuration of each action checked, its defaults filled in."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from api.privacy.catalogue import CATALOGUE

# Ascending: a later one leaves less to learn. Of those with equal rank none is stricter than the other.
RANKS = {"generalize": 0, "mask": 0, "hash": 1, "pseudonymize": 1, "replace": 2, "redact": 3, "drop": 4}
ACTIONS = tuple(reversed(RANKS))
_MOST_SHOWN = 20
_LONGEST_REPLACEMENT = 200
_BANDS = (5, 10)
_MOST_DECIMALS = 4
_PCI_FIRST, _PCI_LAST = 6, 4
_CARD_NUMBER = "credit_card_number"
# "Sensitive authentication data", never kept after authorization.
_SECURITY_CODES = frozenset({"card_security_code", "card_pin", "card_track_data"})


class RuleRefused(ValueError):
    """A rule that cannot be; `field` is where in the rule, e.g. `config.show_last`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def check_rule(pii_type: str, action: str, config: Mapping[str, Any], *, profile: str | None = None) -> dict[str, Any]:
    """Return the configuration with its defaults filled in; raises RuleRefused naming the field at fault.

    With `profile` that profile's own limits hold too: PCI DSS shows at most the first six and last four digits of a
    card number (requirements 3.4.1 and 3.5.1), and keeps nothing of security codes, PINs and track data (3.3.1).
    """
    if pii_type not in CATALOGUE:
        raise RuleRefused("pii_type", "is not a known type of personal data")
    if action not in RANKS:
        raise RuleRefused("action", f"must be one of {', '.join(ACTIONS)}")
    settings = dict(config)
    checked = _CHECKS[action](pii_type, settings)
    if settings:
        raise RuleRefused(f"config.{min(map(str, settings))}", f"is not a setting of {action}")
    if profile == "pci_dss":
        _check_pci(pii_type, action, checked)
    return checked


def _check_nothing(_pii_type: str, _settings: dict[str, Any]) -> dict[str, Any]:
    return {}


def _check_mask(_pii_type: str, settings: dict[str, Any]) -> dict[str, Any]:
    shown = {name: _whole(settings, name, 0, range(_MOST_SHOWN + 1)) for name in ("show_first", "show_last")}
    char = settings.pop("char", "*")
    if not isinstance(char, str) or len(char) != 1 or not char.isprintable() or char.isspace() or char.isdigit():
        raise RuleRefused("config.char", "must be one visible character, no digit")
    return {**shown, "char": char}


def _check_replace(_pii_type: str, settings: dict[str, Any]) -> dict[str, Any]:
    value = settings.pop("value", None)
    if not isinstance(value, str) or len(value) > _LONGEST_REPLACEMENT or not _is_storable(value):
        raise RuleRefused("config.value", f"must be text of at most {_LONGEST_REPLACEMENT} characters")
    return {"value": value}


def _is_storable(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)


def _check_generalize(pii_type: str, settings: dict[str, Any]) -> dict[str, Any]:
    target = settings.pop("to", None)
    if not isinstance(target, str) or target not in _TARGETS:
        raise RuleRefused("config.to", f"must be one of {', '.join(_TARGETS)}")
    if pii_type not in GENERALIZABLE[target]:
        targets = ", ".join(name for name, types in GENERALIZABLE.items() if pii_type in types) or "nothing"
        raise RuleRefused("config.to", f"{pii_type} can be generalized to {targets}")
    return {"to": target, **_TARGETS[target](settings)}


def _step(settings: dict[str, Any]) -> dict[str, Any]:
    step = settings.pop("step", None)
    if (
        isinstance(step, bool)
        or not isinstance(step, int | float)
        or not math.isfinite(step)
        or not 1e-6 <= step <= 1e12
    ):
        raise RuleRefused("config.step", "must be a number from 0.000001 to 1e12")
    return {"step": step}


def _whole(settings: dict[str, Any], name: str, default: int, allowed: range | tuple[int, ...]) -> int:
    value = settings.pop(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        bounds = f"from {allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else " or ".join(map(str, allowed))
        raise RuleRefused(f"config.{name}", f"must be a whole number, {bounds}")
    return value


def _check_pci(pii_type: str, action: str, config: Mapping[str, Any]) -> None:
    if pii_type in _SECURITY_CODES and RANKS[action] < RANKS["replace"]:
        raise RuleRefused("action", "PCI DSS keeps nothing of security codes, PINs and track data: drop or redact it")
    if pii_type != _CARD_NUMBER or action != "mask":
        return
    for name, most in (("show_first", _PCI_FIRST), ("show_last", _PCI_LAST)):
        if config[name] > most:
            raise RuleRefused(
                f"config.{name}", f"PCI DSS shows at most the first {_PCI_FIRST} and last {_PCI_LAST} digits"
            )


_CHECKS: dict[str, Callable[[str, dict[str, Any]], dict[str, Any]]] = {
    "redact": _check_nothing,
    "drop": _check_nothing,
    "hash": _check_nothing,
    "pseudonymize": _check_nothing,
    "mask": _check_mask,
    "replace": _check_replace,
    "generalize": _check_generalize,
}
# What a value can be generalized to, with the further settings each takes.
_TARGETS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "year": lambda _: {},
    "month": lambda _: {},
    "network": lambda _: {},
    "age_band": lambda settings: {"width": _whole(settings, "width", 10, _BANDS)},
    "step": _step,
    "postal_prefix": lambda settings: {"length": _whole(settings, "length", 3, range(1, 6))},
    "coordinates": lambda settings: {"decimals": _whole(settings, "decimals", 1, range(_MOST_DECIMALS + 1))},
}
_DATES = frozenset({"date_of_birth", "health_date"})
GENERALIZABLE: dict[str, frozenset[str]] = {
    "year": _DATES,
    "month": _DATES,
    "network": frozenset({"ipv4_address", "ipv6_address"}),
    "age_band": frozenset({"age"}),
    "step": frozenset({"income", "credit_score"}),
    "postal_prefix": frozenset({"postal_code"}),
    "coordinates": frozenset({"coordinates", "latitude", "longitude"}),
}
