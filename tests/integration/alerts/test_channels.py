"""Channels over HTTP: their shape, their secrets, and what protects them."""

import uuid
from typing import Any

import httpx
import pytest

from monitoring.store.alert_tables import Channel, Delivery
from monitoring.store.database import Database
from tests.integration.alerts.conftest import MakeChannel, MakeRule, fields_of, timeline_of
from tests.integration.alerts.furnishing import add_alert, add_delivery, add_deployment

SLACK = "https://hooks.slack.com/services/T0/B0/verysecretslackpath"
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WEBHOOK = {"url": "https://example.org/hook", "headers": {"X-Token": "verysecrettoken"}, "secret": SECRET}


def stored_config(database: Database, channel_id: str) -> dict[str, Any]:
    with database.transaction() as session:
        return session.get_one(Channel, uuid.UUID(channel_id)).config


def test_a_channel_of_each_type_is_made_shown_and_listed(client: httpx.Client, project_id: str) -> None:
    made = []
    for kind, config in (("email", {"to": ["a@example.org"]}), ("slack", {"webhook_url": SLACK}), ("webhook", WEBHOOK)):
        body = {"name": kind, "type": kind, "config": config}
        answer = client.post(f"/api/mlops/projects/{project_id}/channels", json=body)
        assert answer.status_code == 201, answer.text
        made.append(answer.json())
    email, slack, webhook = made
    assert email["config"] == {"to": ["a@example.org"]}
    assert email["is_enabled"] is True
    assert email["project_id"] == project_id
    assert slack["config"]["webhook_url"].startswith("https://hooks.slack.com/")
    assert webhook["config"]["url"] == WEBHOOK["url"]
    page = client.get(f"/api/mlops/projects/{project_id}/channels", params={"limit": 2}).json()
    assert page == {"items": [webhook, slack], "total": 3, "limit": 2, "offset": 0}
    assert client.get(f"/api/mlops/channels/{email['id']}").json() == email


def test_secrets_are_taken_and_never_given_or_audited(
    client: httpx.Client, database: Database, project_id: str, make_channel: MakeChannel
) -> None:
    slack = make_channel(type="slack", config={"webhook_url": SLACK})
    webhook = make_channel(type="webhook", config=WEBHOOK)
    path = f"/api/mlops/channels/{webhook['id']}"
    masked = {"name": "renamed", "type": "webhook", "config": webhook["config"]}
    renamed = client.put(path, json=masked)
    assert renamed.json()["config"] == webhook["config"]
    assert stored_config(database, webhook["id"]) == WEBHOOK
    rolled = {**webhook["config"], "headers": {"X-Token": "anothersecret"}}
    assert client.patch(path, json={"config": rolled}).status_code == 200
    assert stored_config(database, webhook["id"]) == {**WEBHOOK, "headers": {"X-Token": "anothersecret"}}
    client.delete(path).raise_for_status()
    client.delete(f"/api/mlops/channels/{slack['id']}").raise_for_status()
    events = client.get(f"/api/projects/{project_id}/timeline").text
    shown = events + renamed.text + str(webhook) + str(slack)
    for secret in ("verysecret", "anothersecret", SECRET):
        assert secret not in shown
    rolled_over = timeline_of(client, project_id)[2]
    assert rolled_over["action"] == "channel.updated"
    assert rolled_over["after"]["config_changed"]


def test_changes_are_audited_with_before_and_after(
    client: httpx.Client, project_id: str, make_channel: MakeChannel
) -> None:
    channel = make_channel(name="ops")
    path = f"/api/mlops/channels/{channel['id']}"
    changed = client.patch(path, json={"is_enabled": False, "config": {"to": ["b@example.org"]}}).json()
    assert changed | {"updated_at": ""} == {
        **channel,
        "is_enabled": False,
        "config": {"to": ["b@example.org"]},
        "updated_at": "",
    }
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    deleted, updated, created = timeline_of(client, project_id)
    assert [event["action"] for event in (created, updated, deleted)] == [
        "channel.created",
        "channel.updated",
        "channel.deleted",
    ]
    assert updated["before"]["config"] == {"to": ["ops@example.org"]}
    assert updated["after"]["config"] == {"to": ["b@example.org"]}
    assert updated["after"]["is_enabled"] is False
    assert created["before"] is None
    assert deleted["after"] is None


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"config": {"to": []}}, "config.to"),
        ({"config": {"to": ["no address"]}}, "config.to"),
        ({"config": {"to": ["a@example.org\nBcc: b@example.org"]}}, "config.to"),
        ({"config": {"to": ["a@example.org"], "cc": []}}, "config.cc"),
        ({"config": {}}, "config.to"),
        ({"type": "slack", "config": {"webhook_url": "no url"}}, "config.webhook_url"),
        ({"type": "webhook", "config": {"url": "ftp://example.org"}}, "config.url"),
        ({"type": "webhook", "config": {"url": "https://example.org", "secret": "short"}}, "config.secret"),
        ({"type": "pager"}, "type"),
        ({"name": " "}, "name"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_wrong_channel_is_refused_by_field(
    client: httpx.Client, project_id: str, said: dict[str, Any], field: str
) -> None:
    body = {"name": "x", "type": "email", "config": {"to": ["a@example.org"]}} | said
    assert fields_of(client.post(f"/api/mlops/projects/{project_id}/channels", json=body)) == {field}


def test_a_name_is_taken_once_a_project_and_a_type_stays(client: httpx.Client, make_channel: MakeChannel) -> None:
    first, second = make_channel(name="ops"), make_channel(name="dev")
    taken = {"name": "ops", "type": "email", "config": {"to": ["a@example.org"]}}
    assert client.post(f"/api/mlops/projects/{first['project_id']}/channels", json=taken).status_code == 409
    assert client.put(f"/api/mlops/channels/{second['id']}", json=taken).status_code == 409
    assert client.put(f"/api/mlops/channels/{first['id']}", json=taken).status_code == 200
    other = client.post("/api/projects", json={"name": "other"}).json()["project_id"]
    assert client.post(f"/api/mlops/projects/{other}/channels", json=taken).status_code == 201
    slack = {"name": "ops", "type": "slack", "config": {"webhook_url": SLACK}}
    assert fields_of(client.put(f"/api/mlops/channels/{first['id']}", json=slack)) == {"type"}


def test_an_idempotency_key_makes_one_channel(client: httpx.Client, project_id: str) -> None:
    body = {"name": "once", "type": "webhook", "config": WEBHOOK}
    path, headers = f"/api/mlops/projects/{project_id}/channels", {"Idempotency-Key": "c1"}
    first, again = (client.post(path, json=body, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert again.status_code == 201
    assert client.post(path, json={**body, "name": "two"}, headers=headers).status_code == 409
    assert client.get(path).json()["total"] == 1


def test_a_channel_in_use_stays_and_one_that_goes_fails_what_waits_for_it(
    client: httpx.Client, database: Database, project_id: str, make_channel: MakeChannel, make_rule: MakeRule
) -> None:
    channel = make_channel()
    rule = make_rule(name="uses it", channels=[channel["id"]])
    path = f"/api/mlops/channels/{channel['id']}"
    refused = client.delete(path)
    assert refused.status_code == 409
    assert "uses it" in refused.json()["detail"]
    with database.transaction() as session:
        deployment_id = add_deployment(session, project_id)
        alert_id = add_alert(session, rule, deployment_id)
        delivery_id = add_delivery(session, alert_id, channel["id"])
    client.patch(f"/api/mlops/alert-rules/{rule['id']}", json={"channels": []}).raise_for_status()
    assert client.delete(path).status_code == 204
    with database.transaction() as session:
        delivery = session.get_one(Delivery, delivery_id)
    assert (delivery.state, delivery.channel_id, delivery.channel_name) == ("failed", None, channel["name"])
    assert client.post(f"/api/mlops/deliveries/{delivery_id}/retry").status_code == 409
