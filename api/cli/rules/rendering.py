"""A plan as a person and as a program reads it, and the server's rules as a file."""

from collections.abc import Iterator
from typing import Any

import yaml

from api.cli.rules.plan import Change, Plan
from api.cli.rules.present import IN_PRODUCTION, Present
from api.cli.rules.spec import CHANNEL, RULE
from monitoring.rules import SYMBOLS

_MARKS = {"create": "+", "update": "~", "delete": "-"}
_STYLES = {"create": "green", "update": "yellow", "delete": "red"}
_RESENT = "its secret is written again: it cannot be compared"


def plan_lines(plan: Plan) -> Iterator[tuple[str, str | None]]:
    """Yield a plan's lines, each with its colour."""
    for change in plan.changes:
        if change.action != "unchanged":
            yield f"{_MARKS[change.action]} {change.kind} {change.name}", _STYLES[change.action]
            yield from ((line, None) for line in _difference_lines(change))
        if change.resends:
            yield f"= {change.kind} {change.name}: {_RESENT}", None
    yield summary(plan), None


def summary(plan: Plan) -> str:
    """Return a plan in one line: how many of each."""
    counted = {"to create": "create", "to update": "update", "to delete": "delete", "unchanged": "unchanged"}
    return ", ".join(f"{plan.count(action)} {words}" for words, action in counted.items())  # type: ignore[arg-type]


def plan_json(plan: Plan, project: dict[str, Any], *, applied: bool) -> dict[str, Any]:
    """Return a plan for programs."""
    changes = [
        {
            "action": change.action,
            "kind": change.kind,
            "name": change.name,
            "id": change.id,
            "rewrites_secret": change.resends,
            "differences": [
                {"field": each.key, "before": each.before, "after": each.after} for each in change.differences
            ],
        }
        for change in plan.changes
    ]
    return {"project_id": project["id"], "project": project["name"], "applied": applied, "changes": changes}


def exported(project: dict[str, Any], present: Present) -> str:
    """Return a project's channels and rules as a rules file, what is as by default left out. Secrets stay masked."""
    channels = [_without_defaults(present.channel_values(name), CHANNEL) for name in sorted(present.channels)]
    rules = []
    for name in sorted(present.rules):
        values = present.rule_values(name)
        deployment = values["deployment"] and present.deployment_name(values["deployment"])
        rules.append(_without_defaults({**values, "deployment": deployment}, RULE))
    found = {"project": project["name"], "channels": channels, "rules": rules}
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=120)


def rule_row(rule: dict[str, Any], present: Present) -> tuple[str, ...]:
    """Return a rule's row of `rules list`; `rule` is the API's answer with its states."""
    measured = rule["metric"] + (f"({rule['feature']})" if rule["feature"] else "")
    condition = f"{measured} {SYMBOLS[rule['operator']]} {shown(rule['threshold'])} over {rule['window_minutes']} min"
    now = [f"{present.deployment_name(each['deployment_id'])} {each['phase']}" for each in rule["states"]]
    state = ", ".join(now) or "not evaluated yet"
    watched = present.deployment_name(rule["deployment_id"])
    channels = shown(present.rule_values(rule["name"])["channels"])
    return rule["name"], condition, rule["severity"], watched, channels, state if rule["is_enabled"] else "disabled"


def _difference_lines(change: Change) -> Iterator[str]:
    for each in change.differences:
        if change.action == "create":
            if each.after not in (None, [], IN_PRODUCTION):
                yield f"    {each.key:<22}{shown(each.after)}"
        else:
            yield f"    {each.key:<22}{shown(each.before)} -> {shown(each.after)}"


def shown(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a value as the file would spell it on one line."""
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, list):
        return ", ".join(shown(each) for each in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {shown(each)}" for key, each in value.items())
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _without_defaults(values: dict[str, Any], keys: Any) -> dict[str, Any]:  # noqa: ANN401 - spec.Keys
    return {name: values[name] for name, key in keys.items() if values[name] != key.default}
