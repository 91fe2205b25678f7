"""Changes at the same moment: one wins, nothing is doubled, nothing points at what is gone."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import Session, col, func, select

from api.schemas.alert_rules import AlertRuleCreate
from monitoring.alerting import evaluate
from monitoring.rules import Verdict
from monitoring.store.alert_rules import add_rule, wrong_references
from monitoring.store.alert_steps import lock_alerts, record_step
from monitoring.store.alert_tables import Alert, AlertEvent, AlertState, Delivery, Notice
from monitoring.store.alerts import AlertFilter, list_alerts
from monitoring.store.channels import lock_channel, remove_channel
from monitoring.store.circumstances import read_circumstances
from monitoring.store.database import Database
from monitoring.store.errors import NotFound
from monitoring.store.pages import Page
from monitoring.store.watches import find_watch
from tests.integration.alerts.conftest import MakeChannel, MakeRule, timeline_of
from tests.integration.alerts.furnishing import add_alert, add_deployment, rule_body

BREACH = Verdict("breach", 0.4, 500, "0.4 > 0.25")


def at_once(*calls: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Make the calls together; return their answers."""
    gate = threading.Barrier(len(calls))

    def go(call: Callable[[], httpx.Response]) -> httpx.Response:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(go, calls))


def waits(database: Database) -> bool:
    """Say whether a transaction of the database waits for a lock."""
    with database.transaction() as session:
        found = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type='Lock'"
        )
        return bool(session.execute(found).scalar_one())


def call_while(
    database: Database, hold: Callable[[Session], object], call: Callable[[], httpx.Response]
) -> httpx.Response:
    """Make a call while a transaction holds what it needs; let go once the call waits for it."""
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as session:
            hold(session)
            session.flush()
            answer: Future[httpx.Response] = pool.submit(call)
            patience = threading.Event()
            while not waits(database):
                assert not answer.done(), answer.result().text
                patience.wait(0.02)
        return answer.result()


def evaluated(session: Session, rule_id: str, deployment_id: uuid.UUID) -> None:
    """Do what an evaluation does: lock, step on a breach, record."""
    lock_alerts(session)
    watch = find_watch(session, uuid.UUID(rule_id), deployment_id)
    now = datetime.now(UTC)
    (around,) = read_circumstances(session, [watch], now=now)
    step = evaluate(watch.rule, watch.state, BREACH, around)
    record_step(session, watch, step, verdict=BREACH, now=now, actor=None)


def test_two_acknowledge_and_one_is_recorded(
    client: httpx.Client, database: Database, project_id: str, make_rule: MakeRule
) -> None:
    rule = make_rule()
    with database.transaction() as session:
        alert_id = add_alert(session, rule, add_deployment(session, project_id))
    answers = at_once(*[lambda: client.post(f"/api/mlops/alerts/{alert_id}/acknowledge")] * 4)
    assert [answer.status_code for answer in answers] == [200] * 4
    with database.transaction() as session:
        events = select(func.count()).select_from(AlertEvent).where(AlertEvent.reason == "acknowledged")
        assert session.exec(events.where(AlertEvent.alert_id == alert_id)).one() == 1
    actions = [event["action"] for event in timeline_of(client, project_id)]
    assert actions.count("alert.acknowledged") == 1


def test_two_resolve_and_it_is_told_once(
    client: httpx.Client, database: Database, project_id: str, make_channel: MakeChannel, make_rule: MakeRule
) -> None:
    rule = make_rule(channels=[make_channel()["id"]])
    with database.transaction() as session:
        alert_id = add_alert(session, rule, add_deployment(session, project_id))
    answers = at_once(*[lambda: client.post(f"/api/mlops/alerts/{alert_id}/resolve")] * 4)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    with database.transaction() as session:
        assert list(session.exec(select(Notice.kind).where(Notice.alert_id == alert_id))) == ["resolved"]
        assert session.exec(select(Delivery.state).where(Delivery.alert_id == alert_id)).all() == ["pending"]


def test_a_rule_removed_while_it_is_evaluated_leaves_its_alert_resolved(
    client: httpx.Client, database: Database, project_id: str, make_channel: MakeChannel, make_rule: MakeRule
) -> None:
    rule = make_rule(channels=[make_channel()["id"]])
    with database.transaction() as session:
        deployment_id = add_deployment(session, project_id, stage="staging", status="active")
    deleted = call_while(
        database,
        lambda session: evaluated(session, rule["id"], deployment_id),
        lambda: client.delete(f"/api/mlops/alert-rules/{rule['id']}"),
    )
    assert deleted.status_code == 204, deleted.text
    with database.transaction() as session:
        (alert,), _ = list_alerts(session, AlertFilter(uuid.UUID(project_id)), Page(10))
        assert (alert.state, alert.resolved_reason) == ("resolved", "rule_deleted")
        kinds = session.exec(select(Notice.kind).where(Notice.alert_id == alert.id).order_by(col(Notice.id)))
        assert list(kinds) == ["firing", "resolved"]
        assert session.exec(select(AlertState).where(AlertState.rule_id == uuid.UUID(rule["id"]))).all() == []


def test_an_evaluation_after_a_removal_finds_no_watch(
    client: httpx.Client, database: Database, project_id: str, make_rule: MakeRule
) -> None:
    rule = make_rule()
    with database.transaction() as session:
        deployment_id = add_deployment(session, project_id, stage="staging", status="active")
    client.delete(f"/api/mlops/alert-rules/{rule['id']}").raise_for_status()
    with pytest.raises(NotFound), database.transaction() as session:
        evaluated(session, rule["id"], deployment_id)


def test_a_project_removed_while_it_is_evaluated_goes_whole(
    client: httpx.Client, database: Database, project_id: str, make_channel: MakeChannel, make_rule: MakeRule
) -> None:
    rule = make_rule(channels=[make_channel()["id"]])
    with database.transaction() as session:
        deployment_id = add_deployment(session, project_id, stage="staging", status="active")
    deleted = call_while(
        database,
        lambda session: evaluated(session, rule["id"], deployment_id),
        lambda: client.delete(f"/api/projects/{project_id}"),
    )
    assert deleted.status_code == 204, deleted.text
    with database.transaction() as session:
        for table in (Alert, AlertEvent, Notice, Delivery):
            rows = select(func.count()).select_from(table).where(table.project_id == uuid.UUID(project_id))
            assert session.exec(rows).one() == 0, table


def test_a_channel_just_taken_into_use_stays(
    client: httpx.Client, database: Database, project_id: str, make_channel: MakeChannel
) -> None:
    channel = make_channel()
    body = AlertRuleCreate(name="new", metric="error_rate", operator="gt", threshold=1, severity="info", channels=[])
    values = body.values() | {"channels": [uuid.UUID(channel["id"])]}

    def take_into_use(session: Session) -> None:
        assert wrong_references(session, uuid.UUID(project_id), values) == {}
        add_rule(session, uuid.UUID(project_id), values, now=datetime.now(UTC))

    refused = call_while(database, take_into_use, lambda: client.delete(f"/api/mlops/channels/{channel['id']}"))
    assert refused.status_code == 409
    assert "'new'" in refused.json()["detail"]


def test_a_channel_just_removed_is_not_taken_into_use(
    client: httpx.Client, database: Database, project_id: str, make_channel: MakeChannel
) -> None:
    channel = make_channel()
    refused = call_while(
        database,
        lambda session: remove_channel(session, lock_channel(session, uuid.UUID(channel["id"]))),
        lambda: client.post(f"/api/mlops/projects/{project_id}/alert-rules", json=rule_body(channels=[channel["id"]])),
    )
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "channels"


def test_one_of_two_rules_gets_the_name(client: httpx.Client, project_id: str) -> None:
    path = f"/api/mlops/projects/{project_id}/alert-rules"
    answers = at_once(*[lambda: client.post(path, json=rule_body())] * 4)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert client.get(path).json()["total"] == 1
