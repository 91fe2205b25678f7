"""Sending by the real post office to real receivers on loopback."""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from flows.delivering import link_to
from flows.sending import Pace
from monitoring.store.outbox import Result
from tests.integration.watch.receivers import Receiver, deaf_port, serving
from tests.integration.watch.world import STALE, START, World

CHANNEL = UUID(int=7)


def _fire(world: World, channels: Sequence[UUID], rules: int = 1) -> None:
    deployment = world.deployment()
    for _ in range(rules):
        world.rule(channels)
    world.age(deployment, STALE)
    world.evaluate()


def test_a_notice_is_handed_over_with_its_facts_and_a_link(world: World, receiver: Receiver) -> None:
    _fire(world, [world.channel(receiver.url)])
    sent = world.deliver()
    assert (sent.sent, sent.retried, sent.failed, sent.next_due) == (1, 0, 0, None)
    (delivery,) = world.deliveries()
    (received,) = receiver.received
    assert received.webhook_id == str(delivery.id)
    assert received.body["schema"] == "pilothouse.alert.v1"
    assert f"/api/mlops/alerts/{world.alerts()[0].id}" in str(received.body)


def test_a_receiver_that_fails_gets_the_same_delivery_again(world: World) -> None:
    answers = [(503, {}), (429, {"Retry-After": "40"}), (200, {})]
    with serving(Receiver(lambda _: answers.pop(0))) as receiver:
        _fire(world, [world.channel(receiver.url)])
        assert world.deliver().retried == 1
        assert world.deliver(minutes=3 / 60).retried == 0
        assert world.deliver(minutes=4 / 60).retried == 1
        assert world.deliver(minutes=39 / 60).sent == 0
        assert world.deliver(minutes=1 / 60).sent == 1
    assert len(set(receiver.ids())) == 1
    assert len(receiver.received) == 3


def test_a_refusal_is_final(world: World) -> None:
    with serving(Receiver(lambda _: (410, {}))) as receiver:
        _fire(world, [world.channel(receiver.url)])
        assert world.deliver().failed == 1
        assert world.deliver(minutes=60).next_due is None
    assert len(receiver.received) == 1


def test_dead_and_slow_channels_delay_no_other(world: World, receiver: Receiver) -> None:
    released = threading.Event()
    with serving(Receiver(lambda _: (200, {}) if released.wait(60) else (503, {}))) as slow:
        with deaf_port() as deaf:
            others = [world.channel(deaf), world.channel("http://127.0.0.1:9/"), world.channel(slow.url)]
            _fire(world, [*others, world.channel(receiver.url)], rules=20)
            sender = world.sender(timeout_s=30.0)
            thread = threading.Thread(target=sender.drain, kwargs={"seconds": 20, "patience_s": -1})
            thread.start()
            while (len(receiver.received) < 20 or not slow.received) and thread.is_alive():
                time.sleep(0.01)
            unanswered = len(slow.received)
            assert len(receiver.received) == 20
            assert 0 < unanswered <= 8
            assert thread.is_alive(), "the slow and the deaf were waited for"
        released.set()
        thread.join()
    states = {one.state for one in world.deliveries() if one.channel_id == others[0]}
    assert states == {"pending"}


def test_a_broken_channel_config_holds_up_no_other(world: World, receiver: Receiver) -> None:
    _fire(world, [world.channel(config={}), world.channel(receiver.url)])
    sent = world.deliver()
    assert (sent.sent, sent.retried) == (1, 1)
    assert {one.response for one in world.deliveries() if one.state == "pending"} == {"Could not be sent (KeyError)"}


def test_what_becomes_due_soon_is_waited_for(world: World) -> None:
    answers = [(503, {}), (200, {})]
    with serving(Receiver(lambda _: answers.pop(0))) as receiver:
        _fire(world, [world.channel(receiver.url)])
        began = time.monotonic()

        def clock(_session: object) -> object:
            return START + 20 * timedelta(seconds=time.monotonic() - began)  # a fast clock: 5 s are 0.25 s

        sent = world.sender(clock=clock).drain(seconds=20, patience_s=20)
    assert (sent.retried, sent.sent) == (1, 1)


@pytest.mark.parametrize(("retry_after_s", "rests_s"), [(None, [1, 2, 4, 8, 16, 32, 60, 60]), (90.0, [90] * 8)])
def test_a_channel_that_fails_rests_longer_each_time(retry_after_s: float | None, rests_s: list[float]) -> None:
    pace, now = Pace(), START
    for rest_s in rests_s:
        pace.note(CHANNEL, Result(status="retry", response="", retry_after_s=retry_after_s), now)
        assert pace.held(now) == {CHANNEL: now + timedelta(seconds=rest_s)}
        assert CHANNEL in pace.slow
        now += timedelta(seconds=rest_s)
        assert pace.held(now) == {}
    pace.note(CHANNEL, Result(status="sent", response=""), now)
    assert (pace.slow, pace.failures) == (set(), {})


def test_a_notice_of_no_alert_has_no_link() -> None:
    assert link_to("https://watch.example", {"alert_id": None}) is None
    assert link_to("https://watch.example", {"alert_id": "7"}) == "https://watch.example/api/mlops/alerts/7"
