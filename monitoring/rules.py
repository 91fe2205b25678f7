"""Alert rules: what is asked of a metric, and what one reading of it answers."""

import math
import uuid
from dataclasses import dataclass
from typing import Final, Literal

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


SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")
"""From the mildest to the gravest."""

SYMBOLS: Final[dict[Operator, str]] = {"gt": ">", "lt": "<", "gte": ">=", "lte": "<=", "eq": "=", "neq": "!="}

UNITS: Final[dict[Metric, str]] = {
    "drift_psi": "",
    "accuracy_degradation": "",
    "error_rate": "%",
    "latency_p99": "ms",
    "model_staleness": "days",
    "prediction_anomaly": "",
}
"""What a metric's value is counted in; empty: a bare number."""


def compare(value: float, operator: Operator, threshold: float) -> bool:
    """Say whether the value stands to the threshold as the operator asks.

    Values that differ only by rounding (1e-9 of the larger, or 1e-12) are equal, for every operator: exactly one of
    lt, eq and gt holds, gte is gt or eq, lte is lt or eq, neq is not eq.
    """
    equal = math.isclose(value, threshold, rel_tol=1e-9, abs_tol=1e-12)
    match operator:
        case "eq":
            return equal
        case "neq":
            return not equal
        case "gte":
            return equal or value > threshold
        case "lte":
            return equal or value < threshold
        case "gt":
            return not equal and value > threshold
        case "lt":
            return not equal and value < threshold


def judge(rule: Rule, reading: Reading) -> Verdict:
    """Say what a reading means for the rule: nothing to measure, too few samples, a breach of the condition, or clear.

    A metric without samples (model_staleness) is not held to `min_samples`; a value that is not a number is no data.
    """
    value, samples = reading.value, reading.samples
    if samples == 0 or (value is None and samples is None):
        return Verdict("no_data", None, samples, reading.detail or "Nothing to measure")
    if samples is not None and samples < rule.min_samples:
        return Verdict("too_few_samples", value, samples, f"{samples:,} of the {rule.min_samples:,} samples it takes")
    if value is None or math.isnan(value):
        return Verdict("no_data", None, samples, reading.detail or "No value could be measured")
    if compare(value, rule.operator, rule.threshold):
        return Verdict("breach", value, samples, _comparison(rule, value))
    return Verdict("clear", value, samples, _comparison(rule, value, "is not "))


def _comparison(rule: Rule, value: float, negation: str = "") -> str:
    """Write the value in four digits and the threshold in six, or both in full where that would not tell them apart."""
    shown, limit = f"{value:.4g}" if abs(value) < 1000 else f"{value:.6g}", f"{rule.threshold:.6g}"
    if shown == limit:
        shown, limit = f"{value!r}", f"{rule.threshold!r}"
    unit = UNITS[rule.metric]
    return f"{shown} {negation}{SYMBOLS[rule.operator]} {limit}" + (f" {unit}" if unit else "")
