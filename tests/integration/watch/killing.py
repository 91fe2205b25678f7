"""Rounds of evaluating and sending in processes that are killed with -9 at chosen moments, and what arrived.

The long form, by hand: `uv run python -m tests.benchmarks.killing --rounds 200 --seed 7`. It prints the seed and the
counts: lost (a due notice that no receiver got), early (one not due yet, or the same told a second time under
another key) and duplicated (the same delivery handed over again: receivers see it by its key).
"""

import multiprocessing
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import event, text
from sqlmodel import Session

from flows.delivering import hand_over
from flows.evaluating import evaluate_rules
from flows.sending import Sender
from flows.settings import FlowSettings
from monitoring.store.database import Database
from monitoring.store.outbox import Claimed, Result
from tests.integration.watch.receivers import Receiver
from tests.integration.watch.world import STALE, World

FIRING, WAITING = 6, 4
TIMEOUT_S = 5.0
_PRELOADED = ["tests.integration.watch.killing", "monitoring.store.readings", "notifications.post_office"]


@dataclass(frozen=True)
class Death:
    """When to die: at the `past`-th occasion of a moment, or after `seconds`; a moment that never comes spares."""

    moment: str
    past: int = 0
    seconds: float = 0.0


@dataclass
class Counts:
    """What the rounds came to; `lost` and `early` must stay 0."""

    lost: int = 0
    early: int = 0
    duplicated: int = 0
    killed: int = 0

    def add(self, other: "Counts") -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class Fate:
    """Kills its own process with -9 when the moment has come."""

    def __init__(self, death: Death | None) -> None:
        self.death = death
        self.left = death.past if death else 0

    def reach(self, moment: str) -> None:
        if self.death is None or self.death.moment != moment:
            return
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def draw_death(rng: random.Random) -> Death:
    """Draw a moment: before a commit, after the evaluation's commit, before or after a send, or any time."""
    moment = rng.choice(["commit", "evaluated", "send", "sent", "any"])
    past = {"commit": 6, "send": FIRING, "sent": FIRING}.get(moment, 1)
    return Death(moment, rng.randrange(past), rng.uniform(0, 0.3))


def work(url: str, now: datetime, death: Death | None, started: Any) -> None:
    """Do one minute's work as the flow does it, from `now` on, unless death comes first."""
    fate = Fate(death)
    database = Database(url, pool_size=1)
    send = hand_over(FlowSettings(allowed_addresses="127.0.0.1", notice_timeout_s=TIMEOUT_S))
    event.listen(database.engine, "commit", lambda _connection: fate.reach("commit"))
    began = time.monotonic()
    started.send(None)
    evaluate_rules(database, now)
    fate.reach("evaluated")

    def send_or_die(claimed: Claimed, at: datetime) -> Result:
        fate.reach("send")
        result = send(claimed, at)
        fate.reach("sent")
        return result

    def clock(_session: Session) -> datetime:
        return now + timedelta(seconds=time.monotonic() - began)

    Sender(database, send_or_die, TIMEOUT_S, clock=clock).drain(seconds=20, patience_s=-1)


def run(url: str, now: datetime, death: Death | None) -> bool:
    """Run a minute's work in a process of its own; return whether it was killed."""
    spawning = multiprocessing.get_context("forkserver")
    spawning.set_forkserver_preload(_PRELOADED)
    reader, writer = spawning.Pipe(duplex=False)
    process = spawning.Process(target=work, args=(url, now, death, writer))
    process.start()
    writer.close()
    if death is not None and death.moment == "any":
        reader.recv()
        process.join(death.seconds)
        process.kill()
    process.join(60)
    assert process.exitcode in {0, -signal.SIGKILL}, process.exitcode
    return process.exitcode != 0


def play(database: Database, receiver: Receiver, rng: random.Random) -> Counts:
    """Play one round: kill the minute's work once to three times, let it end once, and count what the receiver got."""
    with _world(database) as world:
        deployment = world.deployment()
        channel = world.channel(receiver.url)
        firing = [world.rule([channel]) for _ in range(FIRING)]
        waiting = [world.rule([channel], for_minutes=30) for _ in range(WAITING)]
        world.age(deployment, STALE)
        receiver.received.clear()
        killed = 0
        for _ in range(rng.randint(1, 3)):
            killed += run(database.url, world.now, draw_death(rng))
            world.now += timedelta(seconds=rng.choice([1, 60]))
        world.now += timedelta(seconds=60)  # the claims of the dead have run out
        run(database.url, world.now, None)
    keys: dict[str, set[str]] = defaultdict(set)
    for one in receiver.received:
        keys[one.body["rule_id"]].add(one.webhook_id)
    return Counts(
        lost=sum(str(rule) not in keys for rule in firing),
        early=sum(len(keys[str(rule)]) for rule in waiting) + sum(max(len(keys[str(rule)]) - 1, 0) for rule in firing),
        duplicated=len(receiver.received) - sum(map(len, keys.values())),
        killed=killed,
    )


@contextmanager
def _world(database: Database) -> Iterator[World]:
    world = World(database)
    yield world
    with database.transaction() as session:
        session.execute(text("DELETE FROM project"))
