"""Claiming and recording deliveries on a real PostgreSQL."""

import threading
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from flows.watch import evaluate
from monitoring.store.alert_tables import Channel, Delivery, DeliveryAttempt, Notice
from monitoring.store.database import Database
from monitoring.store.outbox import (
    Claimed,
    Result,
    abandon_undeliverable,
    add_test_notice,
    claim_due,
    next_due,
    record_results,
    slow_channels,
)
from tests.integration.watch.world import FRESH, STALE, World

LEASE = timedelta(seconds=60)
SENT = Result(status="sent", response="200")
RETRY = Result(status="retry", response="503")
FAILED = Result(status="failed", response="410")


def _claim(world: World, limit: int = 100, per_channel: int = 8, **given: Any) -> list[Claimed]:
    with world.database.transaction() as session:
        return claim_due(session, now=world.now, limit=limit, lease=LEASE, per_channel=per_channel, **given)


def _record(world: World, claimed: Sequence[Claimed], result: Result) -> None:
    with world.database.transaction() as session:
        record_results(session, [(one, result) for one in claimed], now=world.now)


def _due(world: World, **given: Any) -> Any:
    with world.database.transaction() as session:
        return next_due(session, **given)


def _fire(world: World, channels: Sequence[uuid.UUID], rules: int = 1) -> uuid.UUID:
    """Have that many rules fire, each with one delivery per channel; return the deployment's id."""
    deployment = world.deployment()
    for _ in range(rules):
        world.rule(channels, cooldown_minutes=10)
    world.age(deployment, STALE)
    world.evaluate()
    return deployment


def _only(world: World) -> Delivery:
    (delivery,) = world.deliveries()
    return delivery


def test_a_delivery_is_claimed_once_and_sent(world: World) -> None:
    channel = world.channel("http://a.example/")
    _fire(world, [channel])
    (claimed,) = _claim(world)
    assert (claimed.channel_id, claimed.config, claimed.attempt) == (channel, {"url": "http://a.example/"}, 1)
    assert claimed.facts["kind"] == "firing"
    assert _claim(world) == []
    assert (_only(world).state, _only(world).claimed_until) == ("sending", world.now + LEASE)
    world.now += timedelta(seconds=1)
    _record(world, [claimed], SENT)
    assert (_only(world).state, _only(world).sent_at, _only(world).response) == ("sent", world.now, "200")
    (attempt,) = world.rows(DeliveryAttempt)
    assert (attempt.outcome, attempt.response, attempt.finished_at) == ("sent", "200", world.now)
    assert _due(world) is None


def test_two_claimers_at_once_get_different_deliveries(world: World) -> None:
    channels = [world.channel() for _ in range(8)]
    _fire(world, channels, rules=8)
    barrier, found = threading.Barrier(4), []

    def claim() -> None:
        database = Database(world.database.url)
        barrier.wait()
        for _ in range(4):
            with database.transaction() as session:
                found.extend(claim_due(session, now=world.now, limit=5, lease=LEASE, per_channel=8))
        database.close()

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [one.delivery_id for one in found]
    assert len(ids) == len(set(ids))
    rest = _claim(world)
    assert len(ids) + len(rest) == 64


def test_a_claim_that_ran_out_is_claimed_again_with_its_attempt_left_open(world: World) -> None:
    _fire(world, [world.channel()])
    _claim(world)
    world.now += LEASE - timedelta(seconds=1)
    assert _claim(world) == []
    assert _due(world) == world.now + timedelta(seconds=1)
    world.now += timedelta(seconds=1)
    (again,) = _claim(world)
    assert again.attempt == 2
    _record(world, [again], SENT)
    assert [attempt.outcome for attempt in world.rows(DeliveryAttempt)] == [None, "sent"]


@pytest.mark.parametrize(("late", "state"), [(SENT, "sent"), (RETRY, "sending"), (FAILED, "sending")])
def test_a_send_that_outlasted_its_claim_counts_only_when_it_arrived(world: World, late: Result, state: str) -> None:
    _fire(world, [world.channel()])
    (first,) = _claim(world)
    world.now += LEASE
    (second,) = _claim(world)
    _record(world, [first], late)
    assert _only(world).state == state
    _record(world, [second], RETRY)
    assert _only(world).state == ("sent" if late is SENT else "pending")


def test_retries_wait_longer_each_time_then_fail_and_stay_visible(world: World) -> None:
    _fire(world, [world.channel()])
    waits = []
    while _only(world).state == "pending":
        world.now = _only(world).next_attempt_at
        _record(world, _claim(world), RETRY)
        waits.append((_only(world).next_attempt_at - world.now).total_seconds())
    assert waits[:4] == [5.0, 10.0, 20.0, 40.0]
    assert max(waits) == 900.0
    assert (_only(world).state, _only(world).response) == ("failed", "503")
    assert world.now <= _only(world).give_up_at
    assert _only(world).attempts == len(world.rows(DeliveryAttempt)) > 90


def test_retry_after_is_respected(world: World) -> None:
    _fire(world, [world.channel()])
    _record(world, _claim(world), Result(status="retry", response="429", retry_after_s=123.0))
    assert _only(world).next_attempt_at == world.now + timedelta(seconds=123)


def test_a_refusal_ends_at_once(world: World) -> None:
    _fire(world, [world.channel()])
    _record(world, _claim(world), FAILED)
    assert (_only(world).state, _due(world)) == ("failed", None)


def test_a_later_notice_of_an_alert_waits_for_the_earlier(world: World) -> None:
    deployment = _fire(world, [world.channel()])
    (firing,) = _claim(world)
    world.age(deployment, FRESH)
    world.evaluate(0.1)
    assert world.kinds() == ["firing", "resolved"]
    assert _claim(world) == []
    _record(world, [firing], RETRY)
    assert [one.delivery_id for one in _claim(world)] == []
    world.now += timedelta(seconds=5)
    (again,) = _claim(world)
    assert again.delivery_id == firing.delivery_id
    _record(world, [again], SENT)
    (resolved,) = _claim(world)
    assert resolved.facts["kind"] == "resolved"


def test_a_channel_gets_so_many_at_once_and_a_slow_one_a_single_one(world: World) -> None:
    busy, slow, held = (world.channel() for _ in range(3))
    _fire(world, [busy, slow, held], rules=12)
    claimed = _claim(world, per_channel=5, slow=[slow], held=[held])
    by_channel = [one.channel_id for one in claimed]
    assert (by_channel.count(busy), by_channel.count(slow), by_channel.count(held)) == (5, 1, 0)
    assert _claim(world, per_channel=5, slow=[slow], held=[held]) == []
    _record(world, claimed[:2], SENT)
    assert len(_claim(world, per_channel=5, slow=[slow], held=[held])) == 2
    assert _due(world, held=[busy, slow]) == world.now


def test_the_next_place_goes_to_a_channel_with_less_in_flight(world: World) -> None:
    """However many channels answer slowly and have more to come, the others do not wait for all of it."""
    channels = [world.channel() for _ in range(3)]
    _fire(world, channels, rules=6)
    claimed = _claim(world, limit=8, per_channel=4)
    starved = set(channels) - {one.channel_id for one in claimed}
    assert len(starved) == 1
    _record(world, claimed[:1], SENT)
    (taken,) = _claim(world, limit=1, per_channel=4)
    assert taken.channel_id in starved


def test_slow_channels_are_those_that_something_tried_waits_for(world: World) -> None:
    fine, slow = world.channel(), world.channel()
    _fire(world, [fine, slow])
    claimed = {one.channel_id: one for one in _claim(world)}
    _record(world, [claimed[fine]], SENT)
    _record(world, [claimed[slow]], RETRY)
    with world.database.transaction() as session:
        assert slow_channels(session) == {slow}


def test_an_arrival_moves_the_cooldown_a_resolve_does_not(world: World) -> None:
    deployment = _fire(world, [world.channel()])
    (rule,) = {alert.rule_id for alert in world.alerts()}
    world.now += timedelta(minutes=4)
    _record(world, _claim(world), SENT)
    arrived = world.now
    assert world.state(rule, deployment).last_notice_at == arrived
    world.evaluate(9)
    assert world.kinds() == ["firing"]
    world.age(deployment, FRESH)
    world.evaluate(0.1)
    _record(world, _claim(world), SENT)
    assert world.state(rule, deployment).last_notice_at == arrived


def test_what_waits_for_a_channel_that_is_gone_or_off_fails_in_the_end(world: World) -> None:
    gone, off = world.channel(), world.channel()
    _fire(world, [gone, off])
    world.change(Channel, off, is_enabled=False)
    with world.database.transaction() as session:
        session.delete(session.get(Channel, gone))
    assert _claim(world) == []
    assert _due(world) is None
    for hours, expected in ((1, {"failed", "pending"}), (24, {"failed"})):
        world.now += timedelta(hours=hours)
        with world.database.transaction() as session:
            abandon_undeliverable(session, now=world.now)
        assert {delivery.state for delivery in world.deliveries()} == expected
    assert {delivery.response for delivery in world.deliveries()} == {
        "The channel was removed",
        "The channel is disabled",
    }


def test_a_test_notice_is_claimed_by_who_makes_it(world: World) -> None:
    channel_id = world.channel(type="email", config={"to": ["a@x.org", "b@x.org"]})
    with world.database.transaction() as session:
        channel = session.get_one(Channel, channel_id)
        notice = Notice(project_id=world.project_id, kind="test", facts={"kind": "test"}, created_at=world.now)
        claimed = add_test_notice(session, channel, notice, now=world.now, lease=LEASE)
    assert [one.target for one in claimed] == ["a@x.org", "b@x.org"]
    assert _claim(world) == []
    _record(world, claimed, FAILED)
    assert {delivery.state for delivery in world.deliveries()} == {"failed"}


@pytest.mark.parametrize("is_gone", [True, False], ids=["removed", "disabled"])
def test_a_minute_with_nothing_to_send_still_fails_what_can_no_longer_be_sent(
    world: World, monkeypatch: pytest.MonkeyPatch, *, is_gone: bool
) -> None:
    channel = world.channel()
    _fire(world, [channel])
    world.change(Channel, channel, is_enabled=False)
    if is_gone:
        with world.database.transaction() as session:
            session.delete(session.get(Channel, channel))
    monkeypatch.setenv("PILOTHOUSE_DATABASE_URL", world.database.url)
    seen = evaluate.fn(None)  # by the database's time, long after the world's
    assert not seen.is_due
    assert _only(world).state == "failed"
