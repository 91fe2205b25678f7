"""The alert state machine when evaluations come late, the rule is edited, or the clock is set."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from monitoring.alerting import CLOCK_TOLERANCE, Circumstances, WatchState, severity_at, withdraw
from monitoring.rules import Outcome
from tests.unit.monitoring.alert_cases import ESCALATING, TOLD, at, step
from tests.unit.monitoring.alert_world import RULE, START


@pytest.mark.parametrize(
    ("outcome", "notice", "severity"), [("breach", "escalated", "critical"), ("clear", "resolved", None)]
)
def test_a_late_evaluation_makes_one_notice(outcome: Outcome, notice: str, severity: str | None) -> None:
    late = step(ESCALATING, TOLD, outcome, 6000)
    assert (late.notice, late.state.severity) == (notice, severity)
    assert step(ESCALATING, late.state, outcome, 6000).notice is None


class TestRuleEdits:
    """The rule changes while its alert is open."""

    @pytest.mark.parametrize("severity", ["info", "critical"])
    def test_the_alert_takes_the_new_severity_and_tells_nobody_of_it(self, severity: Any) -> None:
        edited = step(replace(RULE, severity=severity), TOLD, "breach", 1)
        assert (edited.state.severity, edited.notice) == (severity, None)

    def test_what_an_escalation_raised_stays_raised(self) -> None:
        raised = step(ESCALATING, TOLD, "breach", 30).state
        mild = replace(RULE, severity="info", escalation_minutes=None, escalation_severity=None)
        assert step(mild, raised, "breach", 31).state.severity == "critical"
        warned = replace(raised, severity="warning")
        assert step(replace(RULE, severity="critical"), warned, "breach", 31).state.severity == "critical"

    def test_an_escalation_added_late_comes_at_once_and_once(self) -> None:
        raised = step(ESCALATING, TOLD, "breach", 45)
        assert (raised.notice, raised.state.severity) == ("escalated", "critical")
        harder = replace(ESCALATING, escalation_minutes=60)
        assert step(harder, raised.state, "breach", 104).notice is None

    def test_an_escalation_no_graver_than_the_edited_rule_is_still_told_once(self) -> None:
        level = replace(ESCALATING, severity="critical")
        raised = step(level, TOLD, "breach", 30)
        assert (raised.notice, raised.state.severity) == ("escalated", "critical")
        assert step(level, raised.state, "breach", 31).notice is None

    def test_waits_follow_the_edit(self) -> None:
        pending = step(replace(RULE, for_minutes=90), WatchState(), "breach", 0).state
        assert step(replace(RULE, for_minutes=5), pending, "breach", 5).reason == "fired"
        assert step(replace(RULE, cooldown_minutes=10), TOLD, "breach", 10).notice == "repeat"
        assert step(replace(RULE, cooldown_minutes=1440), TOLD, "breach", 60).notice is None

    def test_the_severity_of_the_next_evaluation_can_be_asked(self) -> None:
        assert severity_at(ESCALATING, TOLD, at(29)) == "warning"
        assert severity_at(ESCALATING, TOLD, at(30)) == "critical"
        assert severity_at(ESCALATING, WatchState(), at(30)) == "warning"


class TestClock:
    """The clock is set while the watch is on."""

    def test_time_does_not_run_backwards(self) -> None:
        state = step(RULE, TOLD, "breach", 30).state
        back = step(RULE, state, "breach", 26)
        assert (back.notice, back.state.evaluated_at) == (None, at(30))

    def test_the_times_of_a_clock_that_was_wrong_are_undone(self) -> None:
        years_ahead = step(ESCALATING, WatchState(), "breach", 6e6).state
        corrected = step(ESCALATING, years_ahead, "breach", 1).state
        assert corrected == replace(
            years_ahead, pending_since=at(1), firing_since=at(1), last_notice_at=at(1), evaluated_at=at(1)
        )
        assert step(ESCALATING, corrected, "breach", 30).notice is None
        assert step(ESCALATING, corrected, "breach", 31).notice == "escalated"

    def test_a_wrong_clock_ends_at_the_tolerance(self) -> None:
        ahead = replace(TOLD, evaluated_at=START + CLOCK_TOLERANCE)
        assert step(RULE, ahead, "breach", 0).state.evaluated_at == START + CLOCK_TOLERANCE
        assert step(RULE, ahead, "breach", -1).state.evaluated_at == at(-1)

    def test_an_arrival_that_a_wrong_clock_dated_holds_nothing_back_for_long(self) -> None:
        dated = replace(TOLD, last_notice_at=START + timedelta(days=400))
        seen = step(RULE, dated, "breach", 1).state
        assert (seen.last_notice_at, seen.evaluated_at) == (at(1), at(1))
        assert step(RULE, seen, "breach", 61).notice == "repeat"

    def test_a_withdrawal_undoes_wrong_times_too(self) -> None:
        ahead = replace(TOLD, evaluated_at=START + timedelta(days=400), last_notice_at=START + timedelta(days=400))
        ended = withdraw(RULE, ahead, Circumstances(now=START), reason="rule_changed", detail="The metric was changed")
        assert ended.state == WatchState(last_notice_at=START, evaluated_at=START)
