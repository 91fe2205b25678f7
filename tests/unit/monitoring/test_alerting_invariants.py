"""What the alert state machine never does, whatever happens around it, in whatever order."""

from dataclasses import replace
from datetime import timedelta
from itertools import groupby, pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from monitoring.alerting import Muting, Reason
from monitoring.rules import Outcome, Rule
from tests.unit.monitoring.alert_world import RULE, Told, World, minutes

OUTCOMES: list[Outcome] = ["breach", "clear", "no_data", "too_few_samples"]
WITHDRAWALS: list[Reason] = ["resolved_by_hand", "promoted_away", "rule_deleted", "rule_disabled", "rule_changed"]


def check(told: list[Told]) -> None:
    """Hold the record of all notices to the promises, without a look at the machine."""
    for _, notices in groupby(told, key=lambda each: each.alert):
        kinds = [(each.kind, each.escalates) for each in notices]
        assert kinds[0][0] == "firing"
        assert [kind for kind, _ in kinds].count("firing") == 1
        assert sum(escalates for _, escalates in kinds) <= 1
        assert all(kind != "resolved" for kind, _ in kinds[:-1])
    assert all(each.kind == "resolved" for each in told if each.acknowledged)
    for earlier, later in pairwise(each for each in told if each.kind != "resolved"):
        assert later.at - earlier.at >= later.cooldown or later.escalates


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    severity = draw(st.sampled_from(["info", "warning"]))
    above = ["warning", "critical"] if severity == "info" else ["critical"]
    escalates = draw(st.booleans())
    return replace(
        RULE,
        severity=severity,
        for_minutes=draw(st.sampled_from([0, 0, 1, 5, 90])),
        cooldown_minutes=draw(st.sampled_from([1, 10, 60, 1440])),
        escalation_minutes=draw(st.sampled_from([1, 5, 30, 1440])) if escalates else None,
        escalation_severity=draw(st.sampled_from(above)) if escalates else None,
        no_data=draw(st.sampled_from(["ignore", "alert"])),
        notify_resolved=draw(st.booleans()),
    )


class SteadyClock(RuleBasedStateMachine):
    """Breaches, recoveries, gaps, people, silences, deliveries and rule edits, by a clock that never goes back."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(asked=rules())
    def begin(self, asked: Rule) -> None:
        self.world.rule = asked

    @rule(passing=st.sampled_from([0, 0.5, 1, 1, 1, 5, 30, 61, 1000, 5000]), outcome=st.sampled_from(OUTCOMES))
    def evaluate(self, passing: float, outcome: Outcome) -> None:
        self.pass_time(passing)
        self.world.evaluate(outcome)

    @rule(count=st.integers(2, 8), every=st.sampled_from([1, 7, 60]))
    def breach_on(self, count: int, every: float) -> None:
        for _ in range(count):
            self.evaluate(every, "breach")

    @rule(passing=st.sampled_from([0.5, 7, 70]))
    def pass_time(self, passing: float) -> None:
        self.world.wall += minutes(passing)
        if self.world.muting and self.world.muting.ends_at <= self.world.wall:
            self.world.muting = None

    @precondition(lambda self: self.world.alert)
    @rule()
    def acknowledge(self) -> None:
        self.world.acknowledge()

    @precondition(lambda self: self.world.state.phase != "ok")
    @rule(reason=st.sampled_from(WITHDRAWALS))
    def withdraw(self, reason: Reason) -> None:
        self.world.withdraw(reason)

    @rule(length=st.sampled_from([1, 10, 300, 3000]))
    def silence(self, length: float) -> None:
        self.world.muting = Muting("holiday", self.world.wall + minutes(length))

    @rule()
    def end_silence(self) -> None:
        self.world.muting = None

    @rule(edited=rules())
    def edit_rule(self, edited: Rule) -> None:
        self.world.rule = edited

    @precondition(lambda self: self.world.unsent)
    @rule(sent=st.booleans())
    def finish_delivery(self, sent: bool) -> None:
        self.world.finish_delivery(sent=sent)

    @invariant()
    def keeps_its_promises(self) -> None:
        check(self.world.told)

    def teardown(self) -> None:
        """Once nobody silences it, a breach that stays is told and escalates, however wrong clocks were before."""
        self.world.muting = None
        for _ in range(5):
            self.evaluate(1441, "breach")
        check(self.world.told)
        alert = self.world.alert
        assert alert is not None
        assert alert.notices or alert.acknowledged
        assert alert.escalated or alert.acknowledged or self.world.rule.escalation_minutes is None


class JumpingClock(SteadyClock):
    """The same with a clock that is set forward and back, by minutes or years."""

    @rule(days=st.sampled_from([-4000, -40, -1.5, -0.9, -0.01, -0.003, -0.001, 0.01, 0.9, 40, 4000]))
    def set_clock(self, days: float) -> None:
        self.world.wall += timedelta(days=days)


TestSteadyClock = SteadyClock.TestCase
TestSteadyClock.settings = settings(max_examples=100, stateful_step_count=40)
TestJumpingClock = JumpingClock.TestCase
TestJumpingClock.settings = settings(max_examples=100, stateful_step_count=40)
