"""Deliveries over HTTP: attempts, and trying again by hand."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import Session

from monitoring.store.alert_tables import DeliveryAttempt
from monitoring.store.database import Database
from tests.integration.alerts.conftest import MakeChannel, MakeRule, timeline_of
from tests.integration.alerts.furnishing import MINUTE, NOW, add_alert, add_delivery, add_deployment


@pytest.fixture
def channel(make_channel: MakeChannel) -> dict[str, Any]:
    return make_channel()


@pytest.fixture
def alert_id(database: Database, project_id: str, make_rule: MakeRule, channel: dict[str, Any]) -> uuid.UUID:
    rule = make_rule(channels=[channel["id"]])
    with database.transaction() as session:
        return add_alert(session, rule, add_deployment(session, project_id))


def add_failed(session: Session, alert_id: uuid.UUID, channel_id: str) -> uuid.UUID:
    """Store a delivery that was given up after two attempts."""
    delivery_id = add_delivery(session, alert_id, channel_id, state="failed", attempts=2, response="550 no such user")
    for attempt, outcome, response in ((1, "retry", "451 busy"), (2, "failed", "550 no such user")):
        started_at = NOW + attempt * MINUTE
        session.add(
            DeliveryAttempt(
                delivery_id=delivery_id,
                attempt=attempt,
                started_at=started_at,
                finished_at=started_at + timedelta(seconds=1),
                outcome=outcome,
                response=response,
            )
        )
    session.flush()
    return delivery_id


def test_each_attempt_is_shown(
    client: httpx.Client, database: Database, alert_id: uuid.UUID, channel: dict[str, Any]
) -> None:
    with database.transaction() as session:
        failed = add_failed(session, alert_id, channel["id"])
        waiting = add_delivery(session, alert_id, channel["id"])
    page = client.get(f"/api/mlops/alerts/{alert_id}/deliveries").json()
    assert [item["id"] for item in page["items"]] == [str(waiting), str(failed)]
    assert page["total"] == 2
    first, last = page["items"]
    assert (first["state"], first["next_attempt_at"], first["attempts"]) == ("pending", "2026-03-01T12:01:00Z", [])
    assert (last["state"], last["attempt"], last["next_attempt_at"]) == ("failed", 2, None)
    assert last["response"] == "550 no such user"
    assert [(each["attempt"], each["outcome"], each["response"]) for each in last["attempts"]] == [
        (1, "retry", "451 busy"),
        (2, "failed", "550 no such user"),
    ]


def test_a_failed_one_is_tried_for_a_day_more(
    client: httpx.Client, database: Database, project_id: str, alert_id: uuid.UUID, channel: dict[str, Any]
) -> None:
    with database.transaction() as session:
        delivery_id = add_failed(session, alert_id, channel["id"])
    before = datetime.now(UTC)
    retried = client.post(f"/api/mlops/deliveries/{delivery_id}/retry").json()
    assert (retried["state"], retried["attempt"], len(retried["attempts"])) == ("pending", 2, 2)
    due = datetime.fromisoformat(retried["next_attempt_at"])
    assert before - MINUTE < due < datetime.now(UTC) + MINUTE
    assert datetime.fromisoformat(retried["give_up_at"]) == due + timedelta(hours=24)
    event = timeline_of(client, project_id)[0]
    assert (event["action"], event["before"]["state"], event["after"]["state"]) == (
        "delivery.retried",
        "failed",
        "pending",
    )


def test_a_waiting_one_is_due_at_once_and_no_longer(
    client: httpx.Client, database: Database, alert_id: uuid.UUID, channel: dict[str, Any]
) -> None:
    give_up_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    with database.transaction() as session:
        later = {"next_attempt_at": give_up_at - MINUTE, "give_up_at": give_up_at}
        delivery_id = add_delivery(session, alert_id, channel["id"], **later)
    retried = client.post(f"/api/mlops/deliveries/{delivery_id}/retry").json()
    assert datetime.fromisoformat(retried["next_attempt_at"]) < give_up_at - timedelta(hours=2)
    assert datetime.fromisoformat(retried["give_up_at"]) == give_up_at


@pytest.mark.parametrize("state", ["sent", "sending"])
def test_one_that_went_out_is_not_sent_twice(
    client: httpx.Client, database: Database, alert_id: uuid.UUID, channel: dict[str, Any], state: str
) -> None:
    with database.transaction() as session:
        delivery_id = add_delivery(session, alert_id, channel["id"], state=state)
    refused = client.post(f"/api/mlops/deliveries/{delivery_id}/retry")
    assert refused.status_code == 409
    assert "sent" in refused.json()["detail"]


def test_one_to_a_disabled_channel_is_not_said_to_go_out(
    client: httpx.Client, database: Database, alert_id: uuid.UUID, channel: dict[str, Any]
) -> None:
    client.patch(f"/api/mlops/channels/{channel['id']}", json={"is_enabled": False}).raise_for_status()
    with database.transaction() as session:
        delivery_id = add_failed(session, alert_id, channel["id"])
    refused = client.post(f"/api/mlops/deliveries/{delivery_id}/retry")
    assert refused.status_code == 409
    assert "disabled" in refused.json()["detail"]
    client.patch(f"/api/mlops/channels/{channel['id']}", json={"is_enabled": True}).raise_for_status()
    assert client.post(f"/api/mlops/deliveries/{delivery_id}/retry").json()["state"] == "pending"
