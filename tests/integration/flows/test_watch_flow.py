"""The minute's flow in Prefect: what it shows, what it sends, and that more of it at once are harmless."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text

from flows.evaluating import evaluate_rules
from monitoring.store.clock import database_time
from monitoring.store.database import Database
from tests.integration.flows.conftest import PrefectServer
from tests.integration.watch.receivers import Receiver, serving
from tests.integration.watch.world import STALE, World

pytestmark = pytest.mark.usefixtures("worker", "alone")


@pytest.fixture
def alone(flow_deployments: PrefectServer) -> None:
    """Only the test's own runs evaluate and send: those that an earlier test set off are over."""
    flow_deployments.wait_until_over(["watch/watch", "deliver/deliver"])


@pytest.fixture
def world(flows_database: Database) -> World:
    with flows_database.transaction() as session:
        return World(flows_database, now=database_time(session))


def _watch(server: PrefectServer) -> dict[str, Any]:
    return server.wait_for(server.enqueue("watch/watch", {}), {"COMPLETED"})


def test_a_breach_is_shown_and_told_within_seconds_of_its_evaluation(
    flow_deployments: PrefectServer, world: World
) -> None:
    deployment = world.deployment("told")
    with serving(Receiver()) as receiver:
        rule = world.rule([world.channel(receiver.url)], name="old model", deployment_id=deployment)
        world.age(deployment, STALE)
        run = _watch(flow_deployments)
        told = [one for one in receiver.received if one.body["rule_id"] == str(rule)]
    assert len(told) == 1
    delivery = next(one for one in world.deliveries() if str(one.id) == told[0].webhook_id)
    assert (delivery.sent_at - delivery.created_at).total_seconds() < 5
    assert "1 notice; 1 sent, 0 to be tried again, 0 failed" in run["state"]["message"]
    (table,) = flow_deployments.artifacts(str(run["id"]))
    assert table["key"] == "watch"
    (row,) = [one for one in json.loads(table["data"]) if one["rule"] == "old model"]
    assert (row["phase"], row["notice"], row["reason"]) == ("ok → firing", "firing", "fired")


def test_what_is_still_due_is_left_to_a_deliver_run(flow_deployments: PrefectServer, world: World) -> None:
    deployment = world.deployment("retried")
    answers = [(503, {"Retry-After": "4"}), (200, {})]
    with serving(Receiver(lambda _: answers.pop(0))) as receiver:
        world.rule([world.channel(receiver.url)], deployment_id=deployment)
        world.age(deployment, STALE)
        run = _watch(flow_deployments)
        assert "1 to be tried again, 0 failed; a deliver run takes the rest" in run["state"]["message"]
        deadline = time.monotonic() + 60
        while len(receiver.received) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(set(receiver.ids())) == 1
    assert len(receiver.received) == 2


def test_an_evaluation_that_fails_holds_up_no_notice(flow_deployments: PrefectServer, world: World) -> None:
    deployment = world.deployment("held up")
    with serving(Receiver()) as receiver:
        world.rule([world.channel(receiver.url)], deployment_id=deployment)
        world.age(deployment, STALE)
        evaluate_rules(world.database, world.now)
        with broken_evaluation(world.database):
            run = flow_deployments.wait_for(flow_deployments.enqueue("watch/watch", {}), {"FAILED"})
    assert "Nothing was evaluated" in run["state"]["message"]
    assert "1 sent" in run["state"]["message"]
    assert len(receiver.received) == 1


@contextmanager
def broken_evaluation(database: Database) -> Iterator[None]:
    """Let the database refuse every new state of a watch meanwhile."""
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION refuse_states() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no states today'; END $$; CREATE TRIGGER refuse_states BEFORE INSERT OR "
                "UPDATE OF evaluated_at ON alert_state FOR EACH STATEMENT EXECUTE FUNCTION refuse_states()"
            )
        )
    try:
        yield
    finally:
        with database.engine.begin() as connection:
            connection.execute(text("DROP FUNCTION refuse_states CASCADE"))
