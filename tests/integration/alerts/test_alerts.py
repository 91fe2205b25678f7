"""Alerts over HTTP: list, look at, acknowledge, resolve; and a rule's history."""

import uuid
from typing import Any

import httpx

from monitoring.store.alert_tables import Alert, AlertEvent
from monitoring.store.database import Database
from tests.integration.alerts.conftest import MakeChannel, MakeRule, timeline_of
from tests.integration.alerts.furnishing import MINUTE, add_alert, add_delivery, add_deployment


def test_they_are_listed_by_state_severity_and_deployment(
    client: httpx.Client, database: Database, project_id: str, make_rule: MakeRule
) -> None:
    mild, grave = make_rule(), make_rule(severity="critical")
    with database.transaction() as session:
        one, two = add_deployment(session, project_id), add_deployment(session, project_id)
        ids = [
            str(add_alert(session, mild, one, "resolved")),
            str(add_alert(session, mild, one)),
            str(add_alert(session, grave, two, "acknowledged")),
        ]
    path = f"/api/mlops/projects/{project_id}/alerts"

    def found(**wanted: str) -> list[str]:
        page = client.get(path, params=wanted).json()
        assert page["total"] == len(page["items"])
        return [item["id"] for item in page["items"]]

    assert found() == ids[::-1]
    assert found(state="firing") == [ids[1]]
    assert found(state="resolved") == [ids[0]]
    assert found(severity="critical") == [ids[2]]
    assert found(deployment_id=str(one)) == [ids[1], ids[0]]
    assert found(deployment_id=str(two), severity="warning") == []
    refused = client.get(path, params={"state": "ok"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "state")
    newest = client.get(path, params={"limit": 1}).json()
    assert (newest["total"], [item["id"] for item in newest["items"]]) == (3, [ids[2]])
    shown = newest["items"][0]
    assert (shown["rule_id"], shown["deployment_id"]) == (grave["id"], str(two))
    assert (shown["value"], shown["threshold"], shown["severity"]) == (0.31, 0.25, "critical")
    assert shown["started_at"] == "2026-03-01T12:03:00Z"


def test_one_shows_what_led_to_it_and_who_was_told(
    client: httpx.Client, database: Database, project_id: str, make_channel: MakeChannel, make_rule: MakeRule
) -> None:
    channel = make_channel(name="ops")
    rule = make_rule(channels=[channel["id"]])
    with database.transaction() as session:
        alert_id = add_alert(session, rule, add_deployment(session, project_id))
        delivery_id = add_delivery(session, alert_id, channel["id"], target="ops@example.org")
    found = client.get(f"/api/mlops/alerts/{alert_id}").json()
    assert found["alert"]["id"] == str(alert_id)
    assert [event["reason"] for event in found["timeline"]] == ["pending", "fired"]
    assert found["timeline"][0]["detail"] == "because pending"
    (delivery,) = found["deliveries"]
    assert (delivery["id"], delivery["kind"]) == (str(delivery_id), "firing")
    assert (delivery["channel_name"], delivery["target"], delivery["state"]) == ("ops", "ops@example.org", "pending")


def test_an_acknowledgement_during_the_evaluation_that_resolves_stays_in_the_timeline(
    client: httpx.Client, database: Database, project_id: str, make_rule: MakeRule
) -> None:
    """An evaluation's time is when it began to measure; a person may act between that and its record."""
    with database.transaction() as session:
        alert_id = add_alert(session, make_rule(), add_deployment(session, project_id), "resolved")
        alert = session.get_one(Alert, alert_id)
        assert alert.resolved_at is not None
        at = alert.resolved_at + MINUTE / 60
        event: dict[str, Any] = {
            **{name: getattr(alert, name) for name in ("project_id", "rule_id", "deployment_id")},
            "first_at": at,
            "last_at": at,
            "detail": "",
        }
        act: dict[str, Any] = {
            "phase_before": "firing",
            "phase": "acknowledged",
            "reason": "acknowledged",
            "actor": "k",
        }
        session.add(AlertEvent(**event, **act, alert_id=alert_id))
        session.add(AlertEvent(**event, phase_before="ok", phase="ok", reason="below_threshold"))
    timeline = client.get(f"/api/mlops/alerts/{alert_id}").json()["timeline"]
    assert [event["reason"] for event in timeline] == ["pending", "fired", "acknowledged"]


def test_acknowledging_and_resolving_are_kept_and_audited(
    client: httpx.Client, database: Database, project_id: str, make_channel: MakeChannel, make_rule: MakeRule
) -> None:
    channel = make_channel()
    rule = make_rule(channels=[channel["id"]])
    with database.transaction() as session:
        alert_id = add_alert(session, rule, add_deployment(session, project_id))
    path = f"/api/mlops/alerts/{alert_id}"
    for _ in range(2):
        answer = client.post(f"{path}/acknowledge")
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"ok": True, "alert_id": str(alert_id), "state": "acknowledged"}
    assert client.get(path).json()["alert"]["acknowledged_by"]
    assert client.post(f"{path}/resolve").json()["state"] == "resolved"
    found = client.get(path).json()
    assert found["alert"]["resolved_reason"] == "resolved_by_hand"
    assert [event["reason"] for event in found["timeline"]] == ["pending", "fired", "acknowledged", "resolved_by_hand"]
    assert found["timeline"][2]["actor"]
    assert [delivery["kind"] for delivery in found["deliveries"]] == ["resolved"]
    assert client.post(f"{path}/resolve").status_code == 409
    assert client.post(f"{path}/acknowledge").status_code == 409
    actions = [event["action"] for event in timeline_of(client, project_id)]
    assert actions[:2] == ["alert.resolved", "alert.acknowledged"]
    assert actions.count("alert.acknowledged") == 1


def test_history_tells_each_reason_newest_first(
    client: httpx.Client, database: Database, project_id: str, make_rule: MakeRule
) -> None:
    rule, other = make_rule(), make_rule()
    with database.transaction() as session:
        deployment_id = add_deployment(session, project_id)
        add_alert(session, rule, deployment_id)
        add_alert(session, other, deployment_id)
    path = f"/api/mlops/alert-rules/{rule['id']}/history"
    page = client.get(path, params={"limit": 2}).json()
    assert page["total"] == 3
    assert [event["reason"] for event in page["items"]] == ["fired", "pending"]
    rest = client.get(path, params={"limit": 2, "offset": 2}).json()
    assert [(event["reason"], event["phase"]) for event in rest["items"]] == [("below_threshold", "ok")]


def test_an_alert_outlives_its_rule(
    client: httpx.Client, database: Database, project_id: str, make_rule: MakeRule
) -> None:
    rule = make_rule()
    with database.transaction() as session:
        alert_id = add_alert(session, rule, add_deployment(session, project_id))
    client.delete(f"/api/mlops/alert-rules/{rule['id']}").raise_for_status()
    found = client.get(f"/api/mlops/alerts/{alert_id}").json()
    assert found["alert"]["rule"]["name"] == rule["name"]
    assert found["timeline"][-1]["reason"] == "rule_deleted"
    assert client.post(f"/api/mlops/alerts/{alert_id}/resolve").status_code == 409
    with database.transaction() as session:
        assert session.get_one(Alert, uuid.UUID(found["alert"]["id"])).state == "resolved"
