"""The alert state machine, case by case: what it does, what it tells, and the reason it gives."""

from dataclasses import replace

import pytest

from monitoring.alerting import Circumstances, NotOpen, Step, WatchState, acknowledge, withdraw
from monitoring.rules import Outcome
from tests.unit.monitoring.alert_cases import ESCALATING, FIRING, HOLIDAY, TOLD, at, run, step
from tests.unit.monitoring.alert_world import RULE, START


def test_a_breach_fires_and_is_told_at_once() -> None:
    fired = step(RULE, WatchState(), "breach", 0)
    assert fired == Step(state=TOLD, notice="firing", reason="fired", detail="0.31 > 0.25")


def test_nothing_happens_while_the_condition_does_not_hold() -> None:
    calm = step(RULE, WatchState(), "clear", 0)
    assert calm == Step(
        state=WatchState(evaluated_at=START), notice=None, reason="below_threshold", detail="0.12 is not > 0.25"
    )


def test_a_breach_has_to_last_for_its_minutes() -> None:
    steps = run(replace(RULE, for_minutes=3), ["breach"] * 4)
    assert [each.state.phase for each in steps] == ["pending", "pending", "pending", "firing"]
    assert [each.reason for each in steps] == ["pending", "pending", "pending", "fired"]
    assert steps[2].detail == "0.31 > 0.25 for 2 of 3 minutes"
    assert steps[3].detail == "0.31 > 0.25 for 3 of 3 minutes"
    assert steps[3].state.pending_since == START
    assert steps[3].state.firing_since == at(3)


@pytest.mark.parametrize("gap", ["no_data", "too_few_samples"])
def test_a_gap_begins_the_wait_anew(gap: Outcome) -> None:
    steps = run(replace(RULE, for_minutes=120), ["breach"] * 119 + [gap] + ["breach"] * 121)
    assert (steps[119].reason, steps[119].state) == (gap, WatchState(evaluated_at=at(119)))
    assert [number for number, each in enumerate(steps) if each.reason == "fired"] == [240]


def test_a_recovery_before_firing_is_told_to_nobody() -> None:
    steps = run(replace(RULE, for_minutes=3), ["breach", "breach", "clear", "clear"])
    assert [each.reason for each in steps] == ["pending", "pending", "recovered", "below_threshold"]
    assert not any(each.notice for each in steps)


def test_it_repeats_after_each_cooldown_and_resolves_once() -> None:
    steps = run(RULE, ["breach"] * 150 + ["clear", "clear"])
    assert [(number, each.notice) for number, each in enumerate(steps) if each.notice] == [
        (0, "firing"),
        (60, "repeat"),
        (120, "repeat"),
        (150, "resolved"),
    ]
    assert (steps[59].reason, steps[59].detail) == (
        "cooldown",
        "0.31 > 0.25; firing since 2026-03-14T15:09:00Z; cooldown until 2026-03-14T16:09:00Z",
    )
    assert (steps[60].reason, steps[60].detail) == (
        "repeated",
        "0.31 > 0.25; firing since 2026-03-14T15:09:00Z",
    )
    assert (steps[150].reason, steps[150].detail) == ("resolved", "0.12 is not > 0.25")


def test_the_cooldown_counts_from_what_was_sent() -> None:
    arrived = replace(TOLD, last_notice_at=at(20))
    assert step(RULE, arrived, "breach", 79.9).reason == "cooldown"
    assert step(RULE, arrived, "breach", 80).notice == "repeat"


def test_no_repeat_joins_a_notice_that_is_still_on_its_way() -> None:
    waiting = step(RULE, TOLD, "breach", 600, in_flight=True)
    assert (waiting.notice, waiting.reason) == (None, "delivery_in_flight")
    assert step(RULE, waiting.state, "breach", 601).notice == "repeat"


@pytest.mark.parametrize("gap", ["no_data", "too_few_samples"])
def test_a_gap_neither_repeats_nor_ends_an_alert(gap: Outcome) -> None:
    during = step(RULE, TOLD, gap, 600)
    assert (during.state.phase, during.notice, during.reason) == ("firing", None, gap)
    assert during.detail.endswith("told again at the next breach")
    cooling = step(RULE, TOLD, gap, 5)
    assert cooling.reason == gap
    assert cooling.detail.endswith("cooldown until 2026-03-14T16:09:00Z")


@pytest.mark.parametrize("gap", ["no_data", "too_few_samples"])
def test_a_firing_not_yet_told_and_an_escalation_do_not_wait_for_the_gap_to_end(gap: Outcome) -> None:
    late = step(RULE, FIRING, gap, 5)
    assert (late.notice, late.reason) == ("firing", "told")
    raised = step(ESCALATING, TOLD, gap, 30)
    assert (raised.notice, raised.reason, raised.state.severity) == ("escalated", "escalated", "critical")


def test_a_second_alert_inside_the_cooldown_is_told_when_it_ends() -> None:
    steps = run(RULE, ["breach", "clear"] + ["breach"] * 60)
    assert [(number, each.notice) for number, each in enumerate(steps) if each.notice] == [
        (0, "firing"),
        (1, "resolved"),
        (60, "firing"),
    ]
    assert (steps[2].reason, steps[2].detail) == ("fired", "0.31 > 0.25; cooldown until 2026-03-14T16:09:00Z")
    assert steps[60].detail == "0.31 > 0.25; firing since 2026-03-14T15:11:00Z"


def test_a_second_alert_that_ends_inside_the_cooldown_was_never_there_for_anyone() -> None:
    steps = run(RULE, ["breach", "clear", "breach", "clear"])
    assert [each.notice for each in steps] == ["firing", "resolved", None, None]
    assert steps[3].detail == "0.12 is not > 0.25; not told, as its firing was not"


def test_an_escalation_passes_the_cooldown_once_and_starts_it_anew() -> None:
    steps = run(ESCALATING, ["breach"] * 95)
    assert [(number, each.notice, each.state.severity) for number, each in enumerate(steps) if each.notice] == [
        (0, "firing", "warning"),
        (30, "escalated", "critical"),
        (90, "repeat", "critical"),
    ]
    assert steps[30].detail == "0.31 > 0.25; firing since 2026-03-14T15:09:00Z, escalated to critical"


def test_firing_and_escalation_that_come_due_together_are_one_notice() -> None:
    inside_a_cooldown = replace(FIRING, last_notice_at=at(-10))
    raised = step(ESCALATING, inside_a_cooldown, "breach", 30)
    assert (raised.notice, raised.reason, raised.state.severity) == ("firing", "escalated", "critical")
    assert (raised.state.told, raised.state.escalation_told) == (True, True)
    assert step(ESCALATING, raised.state, "breach", 31).reason == "cooldown"


def test_a_silence_holds_back_what_is_told_when_it_ends() -> None:
    fired = step(ESCALATING, WatchState(), "breach", 0, muting=HOLIDAY)
    assert (fired.state.phase, fired.notice, fired.reason) == ("firing", None, "fired")
    assert fired.detail == "0.31 > 0.25; silenced by holiday until 2026-03-15T01:09:00Z"
    quiet = step(ESCALATING, fired.state, "breach", 1, muting=HOLIDAY)
    assert quiet.reason == "silenced"
    raised = step(ESCALATING, quiet.state, "breach", 31, muting=HOLIDAY)
    assert (raised.notice, raised.reason, raised.state.severity) == (None, "escalated", "critical")
    over = step(ESCALATING, raised.state, "breach", 600)
    assert (over.notice, over.reason, over.state.severity) == ("firing", "told", "critical")


def test_an_escalation_under_silence_is_told_when_that_ends_even_inside_the_cooldown() -> None:
    raised = step(ESCALATING, TOLD, "breach", 30, muting=HOLIDAY)
    over = step(ESCALATING, raised.state, "breach", 40)
    assert (over.notice, over.reason) == ("escalated", "told")
    assert step(ESCALATING, over.state, "breach", 41).reason == "cooldown"


def test_a_resolve_under_silence_is_told_to_nobody_then_or_later() -> None:
    ended = step(RULE, TOLD, "clear", 5, muting=HOLIDAY)
    assert (ended.state.phase, ended.notice, ended.reason) == ("ok", None, "resolved")
    assert ended.detail == "0.12 is not > 0.25; silenced by holiday until 2026-03-15T01:09:00Z"
    assert step(RULE, ended.state, "clear", 700).notice is None


def test_a_resolve_is_told_only_to_those_who_want_it() -> None:
    ended = step(replace(RULE, notify_resolved=False), TOLD, "clear", 5)
    assert (ended.notice, ended.detail) == (None, "0.12 is not > 0.25; not told, as the rule wants")


def test_an_acknowledgement_stops_repeats_and_escalation_but_not_the_resolve() -> None:
    taken = acknowledge(TOLD, now=at(5), by="ann")
    assert taken == Step(
        state=replace(TOLD, phase="acknowledged"),
        notice=None,
        reason="acknowledged",
        detail="acknowledged by ann at 2026-03-14T15:14:00Z",
    )
    later = step(ESCALATING, taken.state, "breach", 300)
    assert (later.notice, later.reason, later.state.severity) == (None, "acknowledged", "warning")
    assert step(ESCALATING, later.state, "clear", 301).notice == "resolved"


def test_who_acknowledges_before_anybody_was_told_keeps_it_quiet() -> None:
    fired = step(RULE, WatchState(), "breach", 0, muting=HOLIDAY)
    taken = acknowledge(fired.state, now=at(1), by="ann")
    over = step(RULE, taken.state, "breach", 700)
    assert (over.state.phase, over.notice, over.reason) == ("acknowledged", None, "acknowledged")
    assert step(RULE, over.state, "clear", 701).notice is None


def test_acknowledging_twice_is_harmless_and_without_an_alert_refused() -> None:
    taken = acknowledge(TOLD, now=at(5), by="ann").state
    assert acknowledge(taken, now=at(6), by="bob").state == taken
    for state in (WatchState(), WatchState(phase="pending", pending_since=START)):
        with pytest.raises(NotOpen):
            acknowledge(state, now=at(5), by="ann")


def test_no_data_fires_where_the_rule_asks_for_it_and_turns_into_a_breach() -> None:
    rule = replace(RULE, no_data="alert", for_minutes=1)
    steps = run(rule, ["no_data", "no_data", "breach", "no_data", "too_few_samples", "clear"])
    assert [each.state.phase for each in steps] == ["pending", "firing", "firing", "firing", "firing", "ok"]
    assert [each.state.cause for each in steps] == ["no_data", "no_data", "breach", "no_data", "no_data", None]
    assert [each.notice for each in steps] == [None, "firing", None, None, None, "resolved"]
    assert steps[1].detail == "Nothing to measure for 1 of 1 minutes"
    assert steps[3].state.firing_since == at(1)


def test_too_few_samples_never_fire() -> None:
    steps = run(replace(RULE, no_data="alert"), ["too_few_samples"] * 3)
    assert {each.state.phase for each in steps} == {"ok"}


@pytest.mark.parametrize("state", [TOLD, acknowledge(TOLD, now=START, by="ann").state])
def test_a_withdrawn_watch_resolves_for_its_own_reason(state: WatchState) -> None:
    ended = withdraw(RULE, state, Circumstances(now=at(3)), reason="promoted_away", detail="v4 was promoted")
    assert ended == Step(
        state=WatchState(last_notice_at=START, evaluated_at=at(3)),
        notice="resolved",
        reason="promoted_away",
        detail="v4 was promoted",
    )
    again = step(RULE, ended.state, "breach", 4)
    assert (again.state.phase, again.notice, again.reason) == ("firing", None, "fired")


def test_withdrawing_tells_no_more_than_resolving_does() -> None:
    for state, muting in ((FIRING, None), (TOLD, HOLIDAY), (WatchState(phase="pending", pending_since=START), None)):
        ended = withdraw(
            RULE, state, Circumstances(now=at(3), muting=muting), reason="rule_deleted", detail="The rule was deleted"
        )
        assert (ended.state.phase, ended.notice) == ("ok", None)
