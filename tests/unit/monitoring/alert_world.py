"""A world around one watch that keeps its own account of what the alert state machine may and must do.

It reckons in lengths of time lived through, never in the machine's own times, and fails an assertion at the first step
that differs. While the clock has never gone back it asks for exactly the step described; after that only that
nothing is done too early, twice or against a person's word.
"""

import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from monitoring.alerting import (
    Circumstances,
    Muting,
    NoticeKind,
    Reason,
    Step,
    WatchState,
    acknowledge,
    evaluate,
    withdraw,
)
from monitoring.rules import SEVERITIES, Outcome, Rule, Severity, Verdict

START = datetime(2026, 3, 14, 15, 9, tzinfo=UTC)
RULE = Rule(
    rule_id=uuid.UUID(int=1), name="drift", metric="drift_psi", operator="gt", threshold=0.25, severity="warning"
)
FOREVER = timedelta(days=36_500)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@dataclass
class OpenAlert:
    """The account of one alert."""

    acknowledged: bool = False
    escalated: bool = False
    escalation_told: bool = False
    severity: Severity = "warning"
    notices: frozenset[NoticeKind] = frozenset()


@dataclass(frozen=True)
class Told:
    """One notice, for the record: of which alert, when in time lived, under which cooldown, carrying what."""

    alert: int
    kind: NoticeKind
    at: timedelta
    cooldown: timedelta
    escalates: bool
    acknowledged: bool


@dataclass
class World:
    """A rule, its watch, the clock on the wall, a silence, a delivery on its way, and the account kept of them."""

    rule: Rule = RULE
    state: WatchState = field(default_factory=WatchState)
    wall: datetime = START
    muting: Muting | None = None
    unsent: bool = False
    in_flight: bool = False
    alert: OpenAlert | None = None
    alerts: int = 0
    seen: datetime | None = None
    latest: datetime | None = None
    steady: bool = True
    ages: dict[str, timedelta] = field(default_factory=dict)
    """Time lived since the breach began, the alert fired, the last notice was made, and one was last sent."""
    lived: timedelta = timedelta(0)
    told: list[Told] = field(default_factory=list)

    def evaluate(self, outcome: Outcome) -> Step:
        self._live()
        rule, circumstances = self.rule, self._circumstances()
        verdict = Verdict(outcome, 0.3, 500, outcome)
        step = evaluate(rule, self.state, verdict, circumstances)
        again = evaluate(rule, step.state, verdict, circumstances)
        assert (again.state, again.notice) == (step.state, None), "The same evaluation twice must change nothing"
        holds = outcome == "breach" or (outcome == "no_data" and rule.no_data == "alert")
        closes = self.alert is not None and outcome == "clear"
        self._follow_phase(step, outcome, holds)
        self._follow_severity(step)
        self._follow_notice(step, holds=holds, closes=closes)
        self._follow_reason(step)
        return step

    def acknowledge(self) -> None:
        assert self.alert is not None
        step = acknowledge(self.state, now=self.wall, by="ann")
        assert (step.notice, step.state) == (None, replace(self.state, phase="acknowledged"))
        self.state = step.state
        self.alert.acknowledged = True

    def withdraw(self, reason: Reason) -> None:
        self._live()
        step = withdraw(self.rule, self.state, self._circumstances(), reason=reason, detail="withdrawn")
        assert (step.state.phase, step.reason) == ("ok", reason)
        self.ages.pop("breach", None)
        self._follow_notice(step, holds=False, closes=self.alert is not None)

    def finish_delivery(self, *, sent: bool) -> None:
        assert self.unsent
        self.unsent = self.in_flight = False
        if sent:
            at = max(self.state.last_notice_at or self.wall, self.wall)
            self.state = replace(self.state, last_notice_at=at)
            self.latest = max(self.latest or self.wall, self.wall)
            self.ages["sent"] = (self.seen or self.wall) - self.wall

    def _circumstances(self) -> Circumstances:
        return Circumstances(now=self.wall, muting=self.muting, in_flight=self.in_flight and self.unsent)

    def _live(self) -> None:
        """Let the time since the last step pass; more than five minutes back: the clock had been wrong."""
        seen, latest = self.seen or self.wall, self.latest or self.wall
        self.steady = self.steady and self.wall >= latest
        if latest - self.wall > minutes(5):
            seen = latest = self.wall
        passed = max(self.wall - seen, timedelta(0))
        self.lived += passed
        self.ages = {name: age + passed for name, age in self.ages.items()}
        self.seen, self.latest = max(seen, self.wall), max(latest, self.wall)

    def _follow_phase(self, step: Step, outcome: Outcome, holds: bool) -> None:
        phase = step.state.phase
        cause = outcome if holds else self.state.cause
        assert step.state.cause == (None if phase == "ok" else cause)
        if holds:
            self.ages.setdefault("breach", timedelta(0))
        else:
            self.ages.pop("breach", None)
        if outcome == "clear":
            assert phase == "ok"
        elif self.alert is not None:
            assert phase == ("acknowledged" if self.alert.acknowledged else "firing")
        elif not holds:
            assert phase == "ok"
        elif self.ages["breach"] < minutes(self.rule.for_minutes):
            assert phase == "pending"
        else:
            assert phase == "firing" or (phase == "pending" and not self.steady)
        if self.alert is None and step.state.is_open:
            self.alert, self.alerts = OpenAlert(), self.alerts + 1
            self.ages["alert"] = timedelta(0)
            assert step.reason == "fired"
        else:
            assert step.reason != "fired"

    def _follow_severity(self, step: Step) -> None:
        """An escalation comes once, in its time, to nobody who has acknowledged, and is not taken back."""
        alert, rule = self.alert, self.rule
        if alert is None or not step.state.is_open:
            assert (step.state.severity, step.state.escalated) == (None, False)
            return
        wanted = rule.escalation_minutes is not None and not alert.acknowledged and not alert.escalated
        due = wanted and self.ages["alert"] >= minutes(rule.escalation_minutes or 0)
        escalates = step.state.escalated and not alert.escalated
        assert escalates == due if self.steady else escalates <= due
        assert (step.reason == "escalated") == escalates
        least = [rule.severity]
        if escalates and rule.escalation_severity:
            least.append(rule.escalation_severity)
        if alert.escalated:
            assert step.state.escalated
            least.append(alert.severity)
        assert step.state.severity == max(least, key=SEVERITIES.index)
        alert.escalated, alert.severity = step.state.escalated, step.state.severity

    def _follow_notice(self, step: Step, *, holds: bool, closes: bool) -> None:
        asked = self._resolve() if closes else self._asked(holds)
        assert step.notice == asked if self.steady else step.notice in (None, asked)
        if step.notice is not None:
            self._record(step.notice)
            if step.notice != "resolved":
                self.alert.escalation_told = self.alert.escalated
                self.ages["notice"] = timedelta(0)
                self.unsent = self.in_flight = True
        self.state = step.state
        if closes:
            self.alert, self.in_flight = None, False
            self.ages.pop("alert")

    def _record(self, kind: NoticeKind) -> None:
        assert self.alert is not None
        self.alert.notices |= {kind}
        escalates = kind in ("firing", "escalated") and self.alert.escalated
        cooldown = minutes(self.rule.cooldown_minutes)
        self.told.append(Told(self.alerts, kind, self.lived, cooldown, escalates, self.alert.acknowledged))

    def _resolve(self) -> NoticeKind | None:
        told = self.alert is not None and self.alert.notices
        return "resolved" if told and self.rule.notify_resolved and not self.muting else None

    def _asked(self, holds: bool) -> NoticeKind | None:
        """Name the one notice that is due, by what people were told before and how long ago."""
        alert = self.alert
        if alert is None or alert.acknowledged or self.muting:
            return None
        if alert.escalated and not alert.escalation_told:
            return "escalated" if alert.notices else "firing"
        if not self.cooled:
            return None
        if not alert.notices:
            return "firing"
        return "repeat" if holds and not self.in_flight else None

    @property
    def cooled(self) -> bool:
        """Whether the cooldown is over; when something was sent counts only by a clock that never went back."""
        clocks = ("notice", "sent") if self.steady else ("notice",)
        return all(self.ages.get(clock, FOREVER) >= minutes(self.rule.cooldown_minutes) for clock in clocks)

    def _follow_reason(self, step: Step) -> None:
        assert step.detail
        assert (step.notice is None) or step.reason in {"fired", "told", "escalated", "repeated", "resolved"}
        if step.reason in {"told", "repeated"}:
            assert step.notice is not None
        if step.reason == "silenced":
            assert self.muting
        if step.reason == "acknowledged":
            assert self.alert is not None
            assert self.alert.acknowledged
        if step.reason == "delivery_in_flight":
            assert self.in_flight
        if step.reason == "cooldown" and self.steady:
            assert not self.cooled or step.notice
