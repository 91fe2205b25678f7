"""API keys over HTTP."""

import logging
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from litestar import Litestar
from sqlmodel import select

from monitoring.store.database import Database
from monitoring.store.tables import ApiKey, AuditEvent
from tests.integration.api.conftest import client_of

KEYS = "/api/auth/api-keys"


def test_a_key_is_made_shown_once_and_revoked(client: httpx.Client, base_url: str, database: Database) -> None:
    made = client.post(KEYS, json={"name": "ci", "scopes": ["read", "predict", "read"]})
    assert made.status_code == 201
    key = made.json()["key"]
    assert key.startswith(f"pk_{made.json()['id']}_")
    assert made.json()["api_key"]["scopes"] == ["predict", "read"]

    caller = client_of(base_url, key)
    assert caller.get("/api/projects").status_code == 200
    secret = key.rsplit("_", 1)[1]
    assert secret not in client.get(KEYS).text
    with database.transaction() as session:
        stored = session.exec(select(ApiKey).where(ApiKey.id == made.json()["id"])).one()
        events = session.exec(select(AuditEvent)).all()
        assert secret not in repr(stored) + repr(events)

    assert client.delete(f"{KEYS}/{made.json()['id']}").status_code == 204
    assert caller.get("/api/projects").status_code == 401
    assert client.delete(f"{KEYS}/{made.json()['id']}").status_code == 409
    with database.transaction() as session:
        actions = [event.action for event in session.exec(select(AuditEvent).order_by(AuditEvent.id))]
    assert actions == ["key.created", "key.revoked"]


def test_lists_are_newest_first(client: httpx.Client) -> None:
    for name in ("a", "b"):
        client.post(KEYS, json={"name": name, "scopes": ["read"]}).raise_for_status()
    page = client.get(KEYS, params={"limit": 2}).json()
    assert [item["name"] for item in page["items"]] == ["b", "a"]
    assert page["total"] == 3


def test_a_repeat_does_not_make_a_second_key_nor_show_the_first(client: httpx.Client, database: Database) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"name": "ci", "scopes": ["read"]}
    first = client.post(KEYS, json=body, headers=headers)
    again = client.post(KEYS, json=body, headers=headers)
    assert again.status_code == 409
    assert "shown once" in again.json()["detail"]
    assert first.json()["key"] not in again.text
    with database.transaction() as session:
        assert len(session.exec(select(ApiKey).where(ApiKey.name == "ci")).all()) == 1


def test_an_expired_key_no_longer_opens(app: Litestar, client: httpx.Client, base_url: str, database: Database) -> None:
    made = client.post(KEYS, json={"name": "t", "scopes": ["read"], "expires_at": "2999-01-01T01:00:00+01:00"}).json()
    assert made["api_key"]["expires_at"] == "2999-01-01T00:00:00Z"
    caller = client_of(base_url, made["key"])
    assert caller.get("/api/projects").status_code == 200
    with database.transaction() as session:
        row = session.get_one(ApiKey, made["id"])
        row.expires_at = datetime.now(UTC) - timedelta(seconds=1)
        session.add(row)
    app.state.key_ring.forget()
    assert caller.get("/api/projects").status_code == 401


def test_a_projects_admin_manages_its_projects_keys_only(
    client: httpx.Client, base_url: str, project_id: str, make_key: Callable[..., str]
) -> None:
    other = client.post("/api/projects", json={"name": "Other"}).json()["project_id"]
    bound = client_of(base_url, make_key("admin", project=project_id))
    made = bound.post(KEYS, json={"name": "mine", "scopes": ["admin"]}).json()
    assert made["api_key"]["project_id"] == project_id
    assert bound.post(KEYS, json={"name": "x", "scopes": ["read"], "project_id": other}).status_code == 404
    assert bound.get(KEYS, params={"project_id": other}).status_code == 404
    assert {item["project_id"] for item in bound.get(KEYS).json()["items"]} == {project_id}
    everywhere = client.post(KEYS, json={"name": "all", "scopes": ["read"]}).json()["id"]
    assert bound.delete(f"{KEYS}/{everywhere}").status_code == 404
    assert client.post(KEYS, json={"name": "x", "scopes": ["read"], "project_id": str(uuid.uuid4())}).status_code == 404


def test_secrets_never_reach_the_log(
    client: httpx.Client, base_url: str, admin_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = client.post(KEYS, json={"name": "quiet", "scopes": ["read"]}).json()["key"]
    client_of(base_url, made).post("/api/projects", json={"name": "x"})
    client_of(base_url, made + "0").get("/api/projects")
    client.post(KEYS, content=b"{" + made.encode())
    assert caplog.records
    for key in (admin_key, made):
        assert key.rsplit("_", 1)[1] not in caplog.text
