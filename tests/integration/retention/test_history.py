"""What is over and done with goes by age; what is open keeps all that belongs to it."""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text

from monitoring.store.database import Database
from monitoring.store.history import BATCH, KINDS, forget
from tests.integration.retention.days import NOW, Subject, one

OLD, NEW = NOW - timedelta(days=366), NOW - timedelta(days=364)
BEFORE = NOW - timedelta(days=365)

_ALERT = """
    INSERT INTO alert (id, project_id, rule_id, deployment_id, rule, state, severity, cause, threshold, pending_since,
      started_at, resolved_at)
    VALUES (:alert, :project, :rule, :deployment, '{}', :state, 'warning', 'breach', 1, :old, :old, :resolved);
    INSERT INTO alert_event (id, project_id, rule_id, deployment_id, alert_id, phase_before, phase, reason, detail,
      evaluations, first_at, last_at)
    VALUES (:event, :project, :rule, :deployment, :alert, 'ok', 'firing', 'fired', '', 1, :old, :old);
    INSERT INTO notice (id, project_id, alert_id, kind, facts, created_at)
    VALUES (:notice, :project, :alert, 'firing', '{}', :old);
    INSERT INTO delivery (id, project_id, notice_id, alert_id, channel_name, channel_type, target, state, attempts,
      next_attempt_at, give_up_at, created_at)
    VALUES (:delivery, :project, :notice, :alert, 'c', 'slack', '', :delivery_state, 0, :old, :old, :old);
    INSERT INTO delivery_attempt (delivery_id, attempt, started_at) VALUES (:delivery, 1, :old)
"""
_OTHERS = """
    INSERT INTO notice (id, project_id, kind, facts, created_at) VALUES (:id, :project, 'test', '{}', :at);
    INSERT INTO api_worker (id, host, pid, started_at, lease_until) VALUES (:id, 'h', 1, :at, :at);
    INSERT INTO change_ack (change_id, worker_id, acked_at) VALUES (:id, :id, :at);
    INSERT INTO alert_event (id, project_id, rule_id, phase_before, phase, reason, detail, evaluations, first_at,
      last_at)
    VALUES (:id, :project, :id, 'ok', 'ok', 'below_threshold', '', 1, :old, :at)
"""


@pytest.fixture
def subject(database: Database) -> Subject:
    return Subject(database, days=None)


def forget_all(database: Database) -> dict[str, int]:
    forgotten = {}
    for kind in KINDS:
        with database.transaction() as session:
            forgotten[kind] = forget(session, kind, before=BEFORE)
    return forgotten


def add_alert(database: Database, subject: Subject, *, state: str, resolved: object, delivery: str = "sent") -> None:
    """Store an alert with an event, a notice and a delivery of it, all of them old."""
    given = {"rule": uuid.uuid4(), "alert": uuid.uuid4(), "notice": uuid.uuid4(), "delivery": uuid.uuid4()}
    given |= {"project": subject.project_id, "deployment": subject.deployment_id, "old": OLD, "event": uuid.uuid4()}
    given |= {"state": state, "resolved": resolved, "delivery_state": delivery}
    with database.transaction() as session:
        for statement in _ALERT.split(";"):
            session.execute(text(statement), given)


def count(database: Database, *tables: str) -> list[int]:
    return [one(database, f"SELECT count(*) FROM {table}") for table in tables]


def test_resolved_alerts_go_with_all_that_was_told_of_them(database: Database, subject: Subject) -> None:
    add_alert(database, subject, state="resolved", resolved=OLD)
    add_alert(database, subject, state="resolved", resolved=NEW)
    add_alert(database, subject, state="firing", resolved=None)
    add_alert(database, subject, state="resolved", resolved=OLD, delivery="pending")
    assert forget_all(database) | {"alerts": 0, "events": 0} == dict.fromkeys(KINDS, 0)
    tables = ("alert", "alert_event", "notice", "delivery", "delivery_attempt")
    assert count(database, *tables) == [3, 3, 3, 3, 3]
    assert one(database, "SELECT count(*) FROM alert WHERE resolved_at < :at AND state = 'resolved'", at=BEFORE) == 1


def test_tests_of_channels_workers_and_acks_go(database: Database, subject: Subject) -> None:
    ids = [uuid.uuid4() for _ in range(2)]
    with database.transaction() as session:
        for statement in _OTHERS.split(";"):
            for identifier, at in zip(ids, (OLD, NEW), strict=True):
                given = {"id": identifier, "project": subject.project_id, "at": at, "old": OLD}
                session.execute(text(statement), given)
    assert forget_all(database) == {"alerts": 0} | dict.fromkeys(KINDS[1:], 1)
    assert count(database, "notice", "api_worker", "change_ack", "alert_event") == [1, 1, 1, 1]
    assert forget_all(database) == dict.fromkeys(KINDS, 0)


def test_a_transaction_takes_no_more_than_a_batch(database: Database) -> None:
    with database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO change_ack (change_id, worker_id, acked_at)"
                " SELECT gen_random_uuid(), gen_random_uuid(), :at FROM generate_series(1, :rows)"
            ),
            {"at": OLD, "rows": BATCH + 1},
        )
    assert [forget_all(database)["acks"] for _ in range(3)] == [BATCH, 1, 0]
