"""Notices for tests."""

from datetime import UTC, datetime
from typing import Any

from notifications.notice import Notice

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

FACTS: dict[str, Any] = {
    "notice_id": "0195-n",
    "kind": "firing",
    "created_at": "2026-03-01T12:00:00+00:00",
    "project_id": "0195-p",
    "project_name": "Credit",
    "severity": "critical",
    "reason": "0.31 > 0.25 for 5 minutes",
    "alert_id": "0195-a",
    "rule_id": "0195-r",
    "rule_name": "income drifts",
    "deployment_id": "0195-d",
    "deployment_name": "prod-v3",
    "stage": "production",
    "model_name": "credit-gbm",
    "metric": "drift_psi",
    "feature": None,
    "operator": "gt",
    "threshold": 0.25,
    "value": 0.31,
    "samples": 1200,
    "window_minutes": 60,
    "previous_severity": None,
    "cause": "breach",
    "started_at": "2026-03-01T11:55:00+00:00",
    "resolved_at": None,
}
LINK = "http://127.0.0.1:8888/api/mlops/alerts/0195-a"


def a_notice(**changes: Any) -> Notice:
    """A firing notice, with the given facts changed."""
    return Notice.from_facts(FACTS | changes, link=changes.get("link", LINK))


def a_test_notice() -> Notice:
    """A test of a channel: no alert, rule or deployment."""
    kept = ("notice_id", "created_at", "project_id", "project_name")
    facts = {name: FACTS[name] for name in kept}
    return Notice.from_facts(facts | {"kind": "test", "severity": "info", "reason": "A test."}, link=None)
