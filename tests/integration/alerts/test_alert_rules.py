"""Alert rules over HTTP: shape, defaults, what they may not say, and what a change does to open alerts."""

import uuid
from typing import Any

import httpx
import pytest

from monitoring.store.database import Database
from tests.integration.alerts.conftest import MakeChannel, MakeRule, fields_of, timeline_of
from tests.integration.alerts.furnishing import add_alert, add_deployment, rule_body

DEFAULTS: dict[str, Any] = {
    "deployment_id": None,
    "feature": None,
    "window_minutes": 60,
    "for_minutes": 0,
    "min_samples": 100,
    "cooldown_minutes": 60,
    "escalation_minutes": None,
    "escalation_severity": None,
    "no_data": "ignore",
    "notify_resolved": True,
    "is_enabled": True,
}


def test_what_is_left_out_takes_the_defaults_of_the_contract(client: httpx.Client, project_id: str) -> None:
    path = f"/api/mlops/projects/{project_id}/alert-rules"
    made = client.post(path, json=rule_body())
    assert made.status_code == 201, made.text
    rule = made.json()
    given = {"name": "drifts", "metric": "drift_psi", "operator": "gt", "threshold": 0.25, "severity": "warning"}
    assert {name: rule[name] for name in (*DEFAULTS, *given)} == DEFAULTS | given
    assert rule["project_id"] == project_id
    assert client.get(path).json() == {"items": [rule], "total": 1, "limit": 50, "offset": 0}
    assert client.get(f"/api/mlops/alert-rules/{rule['id']}").json() == rule | {"states": []}


def test_all_of_a_rule_is_kept(
    client: httpx.Client, database: Database, project_id: str, make_channel: MakeChannel
) -> None:
    with database.transaction() as session:
        deployment_id = str(add_deployment(session, project_id))
    channels = [make_channel()["id"], make_channel()["id"]]
    body = {
        "name": "all",
        "deployment_id": deployment_id,
        "metric": "drift_psi",
        "feature": "age",
        "operator": "gte",
        "threshold": 0.1,
        "severity": "info",
        "channels": [*channels, channels[0]],
        "window_minutes": 44_640,
        "for_minutes": 5,
        "min_samples": 0,
        "cooldown_minutes": 1440,
        "escalation_minutes": 30,
        "escalation_severity": "critical",
        "no_data": "alert",
        "notify_resolved": False,
        "is_enabled": False,
    }
    rule = client.post(f"/api/mlops/projects/{project_id}/alert-rules", json=body).json()
    assert {name: rule[name] for name in body} == body | {"channels": channels}


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"escalation_minutes": 5}, {"escalation_severity"}),
        ({"escalation_severity": "critical"}, {"escalation_minutes"}),
        ({"escalation_minutes": 5, "escalation_severity": "warning"}, {"escalation_severity"}),
        ({"escalation_minutes": 5, "escalation_severity": "info"}, {"escalation_severity"}),
        ({"severity": "critical", "escalation_minutes": 5, "escalation_severity": "critical"}, {"escalation_severity"}),
        ({"escalation_minutes": 1441, "escalation_severity": "critical"}, {"escalation_minutes"}),
        ({"metric": "error_rate", "feature": "age"}, {"feature"}),
        ({"metric": "psi"}, {"metric"}),
        ({"operator": ">"}, {"operator"}),
        ({"severity": "grave"}, {"severity"}),
        ({"threshold": None}, {"threshold"}),
        ({"window_minutes": 0}, {"window_minutes"}),
        ({"window_minutes": 44_641}, {"window_minutes"}),
        ({"for_minutes": -1}, {"for_minutes"}),
        ({"min_samples": -1}, {"min_samples"}),
        ({"cooldown_minutes": 0}, {"cooldown_minutes"}),
        ({"cooldown_minutes": 1441}, {"cooldown_minutes"}),
        ({"no_data": "panic"}, {"no_data"}),
        ({"channels": [str(uuid.uuid4())]}, {"channels"}),
        ({"channels": None}, {"channels"}),
        ({"deployment_id": str(uuid.uuid4())}, {"deployment_id"}),
        ({"name": ""}, {"name"}),
        ({"extra": 1}, {"extra"}),
    ],
)
def test_a_wrong_rule_is_refused_by_field(
    client: httpx.Client, project_id: str, make_rule: MakeRule, said: dict[str, Any], fields: set[str]
) -> None:
    body = rule_body(**said)
    assert fields_of(client.post(f"/api/mlops/projects/{project_id}/alert-rules", json=body)) == fields
    rule = make_rule()
    path = f"/api/mlops/alert-rules/{rule['id']}"
    assert fields_of(client.put(path, json=body)) == fields
    assert fields_of(client.patch(path, json=said)) == fields
    assert client.get(path).json() == rule | {"states": []}


@pytest.mark.parametrize("threshold", ["NaN", "Infinity", "1e999", "1e301"])
def test_a_threshold_is_finite(client: httpx.Client, project_id: str, threshold: str) -> None:
    text = (
        '{"name": "x", "metric": "error_rate", "operator": "gt", "threshold": %s, "severity": "info", "channels": []}'
    )
    path = f"/api/mlops/projects/{project_id}/alert-rules"
    answer = client.post(path, content=text % threshold, headers={"Content-Type": "application/json"})
    assert fields_of(answer) <= {"threshold", "body"}


def test_what_it_points_at_is_of_its_project(
    client: httpx.Client, database: Database, project_id: str, make_channel: MakeChannel, make_rule: MakeRule
) -> None:
    other = client.post("/api/projects", json={"name": "other"}).json()["project_id"]
    channel, mine = make_channel(), make_rule()
    with database.transaction() as session:
        ours, theirs = str(add_deployment(session, project_id)), str(add_deployment(session, other))
    path = f"/api/mlops/projects/{other}/alert-rules"
    assert fields_of(client.post(path, json=rule_body(channels=[channel["id"]], deployment_id=ours))) == {
        "channels",
        "deployment_id",
    }
    mine_path = f"/api/mlops/alert-rules/{mine['id']}"
    assert fields_of(client.patch(mine_path, json={"deployment_id": theirs})) == {"deployment_id"}
    assert fields_of(client.patch(mine_path, json={"deployment_id": ours, "feature": "height"})) == {"feature"}
    assert client.patch(mine_path, json={"feature": "height"}).status_code == 200


def test_put_says_all_anew_and_patch_some(client: httpx.Client, project_id: str, make_rule: MakeRule) -> None:
    rule = make_rule(name="n", escalation_minutes=5, escalation_severity="critical", no_data="alert", min_samples=7)
    path = f"/api/mlops/alert-rules/{rule['id']}"
    patched = client.patch(path, json={"threshold": 0.5, "escalation_minutes": None, "escalation_severity": None})
    changed = {"threshold": 0.5, "escalation_minutes": None, "escalation_severity": None}
    assert patched.json() | {"updated_at": ""} == rule | changed | {"updated_at": ""}
    assert client.patch(path, json={}).json() | {"updated_at": ""} == rule | changed | {"updated_at": ""}
    put = client.put(path, json=rule_body(name="n")).json()
    assert {name: put[name] for name in DEFAULTS} == DEFAULTS
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    events = timeline_of(client, project_id)
    assert [event["action"].removeprefix("alert_rule.") for event in events] == [
        "deleted",
        "updated",
        "updated",
        "updated",
        "created",
    ]
    assert (events[3]["before"]["threshold"], events[3]["after"]["threshold"]) == (0.25, 0.5)


def test_a_name_is_taken_once_a_project(client: httpx.Client, project_id: str, make_rule: MakeRule) -> None:
    first, second = make_rule(name="drifts"), make_rule(name="errs")
    assert client.post(f"/api/mlops/projects/{project_id}/alert-rules", json=rule_body()).status_code == 409
    assert client.patch(f"/api/mlops/alert-rules/{second['id']}", json={"name": "drifts"}).status_code == 409
    assert client.patch(f"/api/mlops/alert-rules/{first['id']}", json={"name": "drifts"}).status_code == 200


def test_an_idempotency_key_makes_one_rule(client: httpx.Client, project_id: str) -> None:
    path, headers = f"/api/mlops/projects/{project_id}/alert-rules", {"Idempotency-Key": "r1"}
    first, again = (client.post(path, json=rule_body(), headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert client.post(path, json=rule_body(threshold=1), headers=headers).status_code == 409
    assert client.get(path).json()["total"] == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_enabled": False}, "rule_disabled"),
        ({"metric": "error_rate"}, "rule_changed"),
        ({"feature": "age"}, "rule_changed"),
        (None, "rule_deleted"),
        ({"threshold": 0.3, "severity": "critical", "window_minutes": 5}, None),
    ],
)
def test_what_a_change_does_to_an_open_alert(
    client: httpx.Client,
    database: Database,
    project_id: str,
    make_rule: MakeRule,
    change: dict[str, Any] | None,
    reason: str | None,
) -> None:
    rule = make_rule()
    with database.transaction() as session:
        alert_id = add_alert(session, rule, add_deployment(session, project_id))
    path = f"/api/mlops/alert-rules/{rule['id']}"
    answer = client.delete(path) if change is None else client.patch(path, json=change)
    assert answer.is_success, answer.text
    alert = client.get(f"/api/mlops/alerts/{alert_id}").json()["alert"]
    assert alert["resolved_reason"] == reason
    assert alert["state"] == ("resolved" if reason else "firing")
    if change is not None:
        (state,) = client.get(path).json()["states"]
        assert state["phase"] == ("ok" if reason else "firing")
        assert state["alert_id"] == (None if reason else str(alert_id))
