"""The words of notices."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications import wording
from tests.unit.notifications.notices import a_notice, a_test_notice


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({}, "[CRITICAL] prod-v3: drift_psi 0.31 > 0.25 (income drifts)"),
        ({"feature": "income"}, "[CRITICAL] prod-v3: drift_psi of income 0.31 > 0.25 (income drifts)"),
        ({"kind": "repeat"}, "[CRITICAL, still firing] prod-v3: drift_psi 0.31 > 0.25 (income drifts)"),
        ({"kind": "escalated"}, "[CRITICAL, escalated] prod-v3: drift_psi 0.31 > 0.25 (income drifts)"),
        ({"kind": "resolved", "value": 0.1}, "[RESOLVED] prod-v3: drift_psi > 0.25 (income drifts)"),
        ({"cause": "no_data", "value": None}, "[CRITICAL] prod-v3: no data for drift_psi (income drifts)"),
        (
            {"severity": "info", "metric": "latency_p99", "operator": "gte", "value": 1234567.8, "threshold": 500},
            "[INFO] prod-v3: latency_p99 1234568 ms >= 500 ms (income drifts)",
        ),
        (
            {"metric": "error_rate", "operator": "neq", "value": 2.5000004, "threshold": 1e-7},
            "[CRITICAL] prod-v3: error_rate 2.5% != 1e-07% (income drifts)",
        ),
    ],
)
def test_subjects(changes: dict[str, Any], subject: str) -> None:
    assert wording.subject(a_notice(**changes)) == subject


def test_a_channels_test() -> None:
    assert wording.subject(a_test_notice()) == "[TEST] Pilothouse reaches this channel (Credit)"
    assert wording.facts(a_test_notice()) == [("Project", "Credit")]


def test_facts() -> None:
    notice = a_notice(kind="escalated", previous_severity="warning")
    assert wording.facts(notice) == [
        ("Project", "Credit"),
        ("Deployment", "prod-v3 (production)"),
        ("Model", "credit-gbm"),
        ("Rule", "income drifts"),
        ("Condition", "drift_psi > 0.25 over 60 minutes"),
        ("Value", "0.31 (on 1200 samples)"),
        ("Severity", "critical (raised from warning)"),
        ("Firing since", "2026-03-01 11:55:00 UTC"),
    ]


@given(st.text(max_size=400), st.text(max_size=400))
def test_whatever_the_names_the_words_are_bounded_printable_lines(name: str, reason: str) -> None:
    notice = a_notice(rule_name=name, deployment_name=name, project_name=name, reason=reason)
    lines = [wording.subject(notice), wording.reason(notice), *(text for _, text in wording.facts(notice))]
    assert all(line.isprintable() and len(line) <= 500 for line in lines)
    assert len(wording.subject(notice)) <= 200


def test_a_link_is_a_web_address_or_none() -> None:
    assert wording.link(a_notice(link="javascript:alert(1)")) is None
    assert wording.link(a_notice(link=None)) is None
    assert wording.link(a_notice()) == "http://127.0.0.1:8888/api/mlops/alerts/0195-a"
