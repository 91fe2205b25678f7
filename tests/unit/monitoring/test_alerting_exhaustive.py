"""Every situation that a small rule can ever get into, one after the other: none breaks the account kept of it."""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from copy import copy
from dataclasses import fields, replace
from datetime import datetime
from functools import partial

import pytest

from monitoring.alerting import Muting
from monitoring.rules import Outcome, Rule
from tests.unit.monitoring.alert_world import RULE, World, minutes

OUTCOMES: list[Outcome] = ["breach", "clear", "no_data", "too_few_samples"]
SMALL = replace(RULE, for_minutes=1, cooldown_minutes=2, escalation_minutes=2, escalation_severity="critical")
LONGEST = minutes(3)  # beyond every time limit of a small rule: whatever is older is the same


@pytest.mark.parametrize("rule", [SMALL, replace(SMALL, for_minutes=0, no_data="alert", notify_resolved=False)])
def test_no_sequence_of_events_breaks_the_account(rule: Rule) -> None:
    start = World(rule=rule)
    met, waiting = {situation(start)}, deque([start])
    while waiting:
        world = waiting.popleft()
        for act in acts(world):
            following = copy(world)
            following.ages, following.told, following.alert = dict(world.ages), [], copy(world.alert)
            act(following)
            if (there := situation(following)) not in met:
                met.add(there)
                waiting.append(following)
    assert len(met) > 3000  # the walk went everywhere, not round a corner


def acts(world: World) -> Iterator[Callable[[World], None]]:
    """Yield all that can happen next: a minute's evaluation, or something between two of them."""
    for outcome in OUTCOMES:
        yield partial(evaluate_after_a_minute, outcome)
    yield turn_silence
    if world.alert:
        yield World.acknowledge
    if world.state.phase != "ok":
        yield partial(World.withdraw, reason="resolved_by_hand")
    if world.unsent:
        yield partial(World.finish_delivery, sent=True)
        yield partial(World.finish_delivery, sent=False)


def evaluate_after_a_minute(outcome: Outcome, world: World) -> None:
    world.wall += minutes(1)
    world.evaluate(outcome)


def turn_silence(world: World) -> None:
    world.muting = None if world.muting else Muting("holiday", world.wall + minutes(1))


def situation(world: World) -> Hashable:
    """Return what the future depends on: flags as they are, times as how long ago they were."""

    def ago(value: object) -> object:
        return min(world.wall - value, LONGEST) if isinstance(value, datetime) else value

    return (
        *(ago(getattr(world.state, each.name)) for each in fields(world.state)),
        *(vars(world.alert).values() if world.alert else ()),
        world.muting is not None,
        world.unsent,
        world.in_flight,
        frozenset((name, min(age, LONGEST)) for name, age in world.ages.items()),
    )
