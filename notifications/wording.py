"""What a notice says, in words that every channel shares. Plain text: each channel escapes it in its own way."""

import math
from datetime import UTC, datetime

from notifications.notice import Notice

_SYMBOLS = {"gt": ">", "lt": "<", "gte": ">=", "lte": "<=", "eq": "=", "neq": "!="}
_UNITS = {"error_rate": "%", "latency_p99": " ms", "model_staleness": " days"}
_LABELS = {"repeat": ", still firing", "escalated": ", escalated"}
LONGEST_SUBJECT = 200
LONGEST_NAME = 200
LONGEST_REASON = 500


def one_line(text: str, longest: int) -> str:
    """Return text as one printable line: control and format characters (newlines, bidi overrides) become spaces."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def subject(notice: Notice) -> str:
    """Return the notice in one line, such as `[CRITICAL] prod-v3: drift_psi 0.31 > 0.25 (rule name)`."""
    if notice.kind == "test":
        return one_line(f"[TEST] Pilothouse reaches this channel ({notice.project_name})", LONGEST_SUBJECT)
    label = "RESOLVED" if notice.kind == "resolved" else notice.severity.upper() + _LABELS.get(notice.kind, "")
    what = one_line(f"[{label}] {notice.deployment_name}: {_finding(notice)}", LONGEST_SUBJECT - 60)
    return f"{what} ({one_line(notice.rule_name or '', 50)})"


def reason(notice: Notice) -> str:
    """Return why this notice was made, as one line."""
    return one_line(notice.reason, LONGEST_REASON)


def facts(notice: Notice) -> list[tuple[str, str]]:
    """Return the notice's facts as (label, one line), in reading order, without what it does not have."""
    rows = [
        ("Project", notice.project_name),
        ("Deployment", _with(notice.deployment_name, f" ({notice.stage})" if notice.stage else "")),
        ("Model", notice.model_name),
        ("Rule", notice.rule_name),
        ("Condition", _with(_condition(notice), f" over {notice.window_minutes} minutes")),
        ("Value", _value(notice)),
        ("Severity", None if notice.kind == "test" else _severity(notice)),
        ("Firing since", _to_the_second(notice.started_at)),
        ("Resolved at", _to_the_second(notice.resolved_at)),
    ]
    return [(label, one_line(text, LONGEST_NAME)) for label, text in rows if text]


def link(notice: Notice) -> str | None:
    """Return the notice's link, if it has one that a browser may open."""
    return notice.link if notice.link and notice.link.startswith(("http://", "https://")) else None


def number(value: float, metric: str | None, *, digits: int = 6) -> str:
    """Return a figure with its unit: some significant digits, no exponent for large ones."""
    figure = f"{value:.0f}" if math.isfinite(value) and abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"
    return figure + _UNITS.get(metric or "", "")


def _measured(value: float, notice: Notice) -> str:
    """Return a measured value in four digits, in six where four would not tell it from the threshold."""
    shown = number(value, notice.metric, digits=4)
    is_told_apart = notice.threshold is None or shown != number(notice.threshold, notice.metric)
    return shown if is_told_apart else number(value, notice.metric)


def _finding(notice: Notice) -> str:
    if notice.kind == "resolved":
        return _condition(notice) or ""
    if notice.cause == "no_data":
        return f"no data for {_watched(notice)}"
    value = "" if notice.value is None else f" {_measured(notice.value, notice)}"
    return f"{_watched(notice)}{value} {_bound(notice)}"


def _condition(notice: Notice) -> str | None:
    return f"{_watched(notice)} {_bound(notice)}" if notice.metric else None


def _watched(notice: Notice) -> str:
    return f"{notice.metric} of {notice.feature}" if notice.feature else f"{notice.metric}"


def _bound(notice: Notice) -> str:
    if notice.threshold is None:
        return ""
    return f"{_SYMBOLS.get(notice.operator or '', '')} {number(notice.threshold, notice.metric)}"


def _value(notice: Notice) -> str | None:
    if notice.value is None:
        return "no data" if notice.cause == "no_data" else None
    on = "" if notice.samples is None else f" (on {notice.samples} samples)"
    return _measured(notice.value, notice) + on


def _severity(notice: Notice) -> str:
    raised = notice.previous_severity and notice.previous_severity != notice.severity
    return f"{notice.severity} (raised from {notice.previous_severity})" if raised else notice.severity


def _to_the_second(time: str | None) -> str | None:
    """Return an ISO 8601 time in UTC, to the second: `2026-03-01 11:55:00 UTC`."""
    return time and f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M:%S UTC}"


def _with(text: str | None, more: str) -> str | None:
    return text + more if text else None
