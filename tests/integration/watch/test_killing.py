"""Real processes killed with -9 between commit and send, and between send and record: nothing lost, nothing early."""

import random

import pytest

from monitoring.store.database import Database
from tests.integration.watch.killing import Counts, Death, play, run
from tests.integration.watch.receivers import Receiver
from tests.integration.watch.world import STALE, World


@pytest.mark.parametrize(
    ("death", "alerts_before", "received_before"),
    [
        (Death("commit", 2), 0, 0),  # the evaluation's own transaction: the first two only read
        (Death("evaluated"), 1, 0),
        (Death("send"), 1, 0),
        (Death("sent"), 1, 1),
    ],
    ids=["before commit", "between commit and send", "between claim and send", "between send and record"],
)
def test_a_killed_minute_is_made_up_for_by_the_next(
    world: World, receiver: Receiver, death: Death, alerts_before: int, received_before: int
) -> None:
    deployment = world.deployment()
    world.rule([world.channel(receiver.url)])
    world.age(deployment, STALE)
    assert run(world.database.url, world.now, death)
    assert (len(world.alerts()), len(receiver.received)) == (alerts_before, received_before)
    assert not run(world.database.url, world.now.replace(minute=11), None)
    assert len(receiver.received) == received_before + 1
    assert len(set(receiver.ids())) == 1
    assert world.kinds() == ["firing"]
    assert {delivery.state for delivery in world.deliveries()} == {"sent"}


def test_rounds_of_deaths_lose_nothing_and_tell_nothing_early(database: Database, receiver: Receiver) -> None:
    counts, rng = Counts(), random.Random(20260314)
    for _ in range(5):
        counts.add(play(database, receiver, rng))
    assert (counts.lost, counts.early) == (0, 0), counts
    assert counts.killed > 3
