"""Whether a notice still on its way holds back the next one."""

import uuid
from collections.abc import Callable

import pytest

from monitoring.store.alert_tables import AlertRule, Channel
from tests.integration.watch.world import STALE, World


def _take_out(world: World, rule: uuid.UUID, _dead: uuid.UUID, working: uuid.UUID) -> None:
    world.change(AlertRule, rule, channels=[working])


def _disable(world: World, rule: uuid.UUID, dead: uuid.UUID, working: uuid.UUID) -> None:
    world.change(Channel, dead, is_enabled=False)
    world.change(AlertRule, rule, channels=[dead, working])


@pytest.mark.parametrize("mend", [_take_out, _disable], ids=["taken out", "disabled"])
def test_a_channel_given_up_holds_back_no_repeat_to_one_that_takes_its_place(
    world: World, mend: Callable[[World, uuid.UUID, uuid.UUID, uuid.UUID], None]
) -> None:
    deployment, dead, working = world.deployment(), world.channel(), world.channel()
    rule = world.rule([dead], cooldown_minutes=10)
    world.age(deployment, STALE)
    world.evaluate()
    world.evaluate(11)
    assert world.history(rule)[-1].reason == "delivery_in_flight"
    mend(world, rule, dead, working)
    world.evaluate(1)
    assert world.kinds() == ["firing", "repeat"]
    assert [delivery.channel_id for delivery in world.deliveries()] == [dead, working]
