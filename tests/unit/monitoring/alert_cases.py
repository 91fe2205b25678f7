"""Steps of a watch in one line each, for tests that go case by case."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from monitoring.alerting import Circumstances, Muting, Step, WatchState, evaluate
from monitoring.rules import Outcome, Rule, Verdict
from tests.unit.monitoring.alert_world import RULE, START, minutes

ESCALATING = replace(RULE, escalation_minutes=30, escalation_severity="critical")
HOLIDAY = Muting("holiday", START + minutes(600))
FIRING = WatchState(
    phase="firing", cause="breach", pending_since=START, firing_since=START, severity="warning", evaluated_at=START
)
TOLD = replace(FIRING, told=True, last_notice_at=START)

DETAILS: dict[Outcome, str] = {
    "breach": "0.31 > 0.25",
    "clear": "0.12 is not > 0.25",
    "no_data": "Nothing to measure",
    "too_few_samples": "20 of the 100 samples it takes",
}


def at(minute: float) -> datetime:
    return START + minutes(minute)


def step(rule: Rule, state: WatchState, outcome: Outcome, minute: float, **circumstances: Any) -> Step:
    verdict = Verdict(outcome, None if outcome == "no_data" else 0.31, 500, DETAILS[outcome])
    return evaluate(rule, state, verdict, Circumstances(now=at(minute), **circumstances))


def run(rule: Rule, outcomes: list[Outcome], every: float = 1) -> list[Step]:
    steps, state = [], WatchState()
    for number, outcome in enumerate(outcomes):
        steps.append(step(rule, state, outcome, number * every))
        state = steps[-1].state
    return steps
