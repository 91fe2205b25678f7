"""Evaluating and sending at once, on a real PostgreSQL."""

import threading
import time
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from monitoring.store.outbox import Result, claim_due, record_results
from tests.integration.watch.world import STALE, World

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_recording_arrivals_locks_states_in_the_order_of_an_evaluation(world: World) -> None:
    """Else one of the two dies of a deadlock, and an evaluation takes its minute's notices with it."""
    deployment = world.deployment()
    for _ in range(2):
        world.rule([world.channel()])
    world.age(deployment, STALE)
    world.evaluate()
    with world.database.transaction() as session:
        found = claim_due(session, now=world.now, limit=2, lease=timedelta(minutes=1), per_channel=8)
    claimed = sorted(found, key=lambda one: str(one.facts["rule_id"]), reverse=True)
    errors: list[Exception] = []

    def record() -> None:
        sent = Result(status="sent", response="200")
        try:
            with world.database.transaction() as session:
                record_results(session, [(one, sent) for one in claimed], now=world.now)
        except OperationalError as error:
            errors.append(error)

    recorder = threading.Thread(target=record)
    lock = text("SELECT FROM alert_state WHERE rule_id = CAST(:rule_id AS uuid) FOR UPDATE")
    with world.database.transaction() as session:
        session.execute(lock, {"rule_id": claimed[1].facts["rule_id"]})
        recorder.start()
        while recorder.is_alive() and not _is_someone_waiting(world):
            time.sleep(0.02)
        session.execute(lock, {"rule_id": claimed[0].facts["rule_id"]})
    recorder.join(30)
    assert (errors, {delivery.state for delivery in world.deliveries()}) == ([], {"sent"})


def _is_someone_waiting(world: World) -> bool:
    with world.database.transaction() as session:
        return bool(session.execute(text(_WAITING)).scalar_one())
