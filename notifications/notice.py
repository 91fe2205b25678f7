"""What is told: the facts of an alert (or of a channel's test), before any channel gives them a form."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Notice:
    """The facts of one notice, as plain JSON values; times are ISO 8601 in UTC, ids are text.

    `kind`: firing, repeat, escalated, resolved or test. `cause`: breach or no_data. `reason` is a whole sentence.
    `value` and `threshold` are in the metric's unit.
    """

    notice_id: str
    kind: str
    created_at: str
    project_id: str
    project_name: str
    severity: str
    reason: str
    alert_id: str | None = None
    rule_id: str | None = None
    rule_name: str | None = None
    deployment_id: str | None = None
    deployment_name: str | None = None
    stage: str | None = None
    model_name: str | None = None
    metric: str | None = None
    feature: str | None = None
    operator: str | None = None
    threshold: float | None = None
    value: float | None = None
    samples: int | None = None
    window_minutes: int | None = None
    previous_severity: str | None = None
    cause: str | None = None
    started_at: str | None = None
    resolved_at: str | None = None
    link: str | None = None

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], *, link: str | None) -> "Notice":
        """Rebuild a notice from its stored facts; facts this version does not know are left out."""
        known = {field.name for field in fields(cls)} - {"link"}
        return cls(**{name: value for name, value in facts.items() if name in known}, link=link)
