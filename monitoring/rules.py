"""Alert rules: what is asked of a metric, and what one reading of it answers."""

import uuid
from dataclasses import dataclass
from typing import Literal

Metric = Literal[
    "drift_psi", "accuracy_degradation", "error_rate", "latency_p99", "model_staleness", "prediction_anomaly"
]
Operator = Literal["gt", "lt", "gte", "lte", "eq", "neq"]
Severity = Literal["info", "warning", "critical"]
NoDataPolicy = Literal["ignore", "alert"]
Outcome = Literal["breach", "clear", "no_data", "too_few_samples"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What deciding needs to know of an alert rule; thresholds in the metric's unit, times in minutes."""

    rule_id: uuid.UUID
    name: str
    metric: Metric
    feature: str | None = None
    operator: Operator
    threshold: float
    severity: Severity
    window_minutes: int = 60
    for_minutes: int = 0
    min_samples: int = 100
    cooldown_minutes: int = 60
    escalation_minutes: int | None = None
    escalation_severity: Severity | None = None
    no_data: NoDataPolicy = "ignore"
    notify_resolved: bool = True


@dataclass(frozen=True)
class Reading:
    """One metric of one deployment over a window.

    `value` is None when there is nothing to measure, and `detail` says why; `samples` is what it was measured on
    (rows, requests or labels), None for a metric that takes none (model_staleness).
    """

    value: float | None
    samples: int | None
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a reading means for a rule, with a sentence that says so."""

    outcome: Outcome
    value: float | None
    samples: int | None
    detail: str
