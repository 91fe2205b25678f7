"""Projects over HTTP."""

import uuid
from collections.abc import Callable

import httpx
import psycopg
import pytest
from sqlalchemy import make_url
from sqlmodel import select

from api.app import create_app
from api.settings import Settings
from monitoring.store.database import Database
from monitoring.store.tables import ApiKey, AuditEvent, Project
from tests.integration.api.conftest import client_of
from tests.integration.api.serving import served

NOWHERE = uuid.UUID(int=0)


def test_a_project_lives_and_leaves_its_trace(client: httpx.Client, database: Database) -> None:
    made = client.post("/api/projects", json={"name": "Fraud", "description": "cards"})
    assert made.status_code == 201
    project = made.json()["project"]
    assert made.json()["project_id"] == project["id"]
    assert project["created_at"].endswith("Z")
    assert uuid.UUID(project["id"]).version == 7

    changed = client.put(f"/api/projects/{project['id']}", json={"name": "Fraud 2"})
    assert changed.json()["project"] | {"updated_at": ""} == project | {"name": "Fraud 2", "updated_at": ""}
    assert client.get(f"/api/projects/{project['id']}").json() == changed.json()

    timeline = client.get(f"/api/projects/{project['id']}/timeline").json()
    assert [event["action"] for event in timeline["events"]] == ["project.updated", "project.created"]
    assert timeline["events"][0]["before"]["name"] == "Fraud"
    assert timeline["events"][0]["after"]["name"] == "Fraud 2"
    assert timeline["total"] == 2

    assert client.delete(f"/api/projects/{project['id']}").status_code == 204
    assert client.get(f"/api/projects/{project['id']}").status_code == 404
    assert client.delete(f"/api/projects/{project['id']}").status_code == 404
    with database.transaction() as session:
        actions = [event.action for event in session.exec(select(AuditEvent).order_by(AuditEvent.id))]
    assert actions == ["project.created", "project.updated", "project.deleted"]


def test_days_to_keep_are_set_kept_and_given_back(client: httpx.Client) -> None:
    project_id = client.post("/api/projects", json={"name": "Kept", "log_retention_days": 30}).json()["project_id"]

    def put(**body: object) -> httpx.Response:
        return client.put(f"/api/projects/{project_id}", json={"name": "Kept"} | body)

    assert put().json()["project"]["log_retention_days"] == 30
    assert put(log_retention_days=3650).json()["project"]["log_retention_days"] == 3650
    assert put(log_retention_days=None).json()["project"]["log_retention_days"] is None
    for refused in (0, 3651, -1, 1.5, "30"):
        assert put(log_retention_days=refused).json()["errors"][0]["field"] == "log_retention_days"
        made = client.post("/api/projects", json={"name": "x", "log_retention_days": refused})
        assert made.json()["errors"][0]["field"] == "log_retention_days"
    events = client.get(f"/api/projects/{project_id}/timeline").json()["events"]
    told = [event["after"]["log_retention_days"] for event in reversed(events)]
    assert told == [30, 30, 3650, None]


def test_lists_walk_newest_first_and_search(client: httpx.Client) -> None:
    for name in ("One", "two 50%", "three_x"):
        client.post("/api/projects", json={"name": name, "description": f"about {name}"}).raise_for_status()
    first = client.get("/api/projects", params={"limit": 2}).json()
    second = client.get("/api/projects", params={"limit": 2, "offset": 2}).json()
    assert [item["name"] for item in first["items"] + second["items"]] == ["three_x", "two 50%", "One"]
    assert (first["total"], first["limit"], second["offset"]) == (3, 2, 2)
    assert [item["name"] for item in client.get("/api/projects", params={"search": "ONE"}).json()["items"]] == ["One"]
    assert client.get("/api/projects", params={"search": "%"}).json()["total"] == 1
    assert client.get("/api/projects", params={"search": "_"}).json()["total"] == 1


def test_deleting_takes_the_projects_keys_at_once(
    client: httpx.Client, base_url: str, project_id: str, make_key: Callable[..., str], database: Database
) -> None:
    bound = client_of(base_url, make_key("read", project=project_id))
    assert bound.get(f"/api/projects/{project_id}").status_code == 200
    client.delete(f"/api/projects/{project_id}").raise_for_status()
    assert bound.get(f"/api/projects/{project_id}").status_code == 401
    with database.transaction() as session:
        assert session.exec(select(ApiKey).where(ApiKey.project_id == uuid.UUID(project_id))).all() == []


def test_a_bound_key_sees_its_own_project_only(
    client: httpx.Client, base_url: str, project_id: str, make_key: Callable[..., str]
) -> None:
    other = client.post("/api/projects", json={"name": "Other"}).json()["project_id"]
    bound = client_of(base_url, make_key("admin", project=project_id))
    assert [item["id"] for item in bound.get("/api/projects").json()["items"]] == [project_id]
    assert bound.get(f"/api/projects/{other}").status_code == 404
    assert bound.put(f"/api/projects/{other}", json={"name": "Mine"}).status_code == 404
    assert bound.delete(f"/api/projects/{other}").status_code == 404
    assert bound.get(f"/api/projects/{other}/timeline").status_code == 404
    assert bound.post("/api/projects", json={"name": "More"}).status_code == 403
    assert bound.get(f"/api/projects/{other}").json() | {"instance": ""} == bound.get(
        f"/api/projects/{NOWHERE}"
    ).json() | {"instance": "", "detail": f"No project {other}"}


def test_a_repeat_with_an_idempotency_key_makes_one_project(client: httpx.Client, database: Database) -> None:
    headers = {"Idempotency-Key": "a-1"}
    first = client.post("/api/projects", json={"name": "Once"}, headers=headers)
    again = client.post("/api/projects", json={"name": "Once"}, headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    other = client.post("/api/projects", json={"name": "Twice"}, headers=headers)
    assert other.status_code == 409
    with database.transaction() as session:
        assert len(session.exec(select(Project)).all()) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_or_malformed_id_is_not_found(client: httpx.Client, method: str) -> None:
    for identifier in (NOWHERE, "nonsense", "%00", "1"):
        body = {"name": "x"} if method == "PUT" else None
        answer = client.request(method, f"/api/projects/{identifier}", json=body)
        assert answer.status_code == 404, identifier
        assert answer.headers["content-type"] == "application/problem+json"


def test_times_are_utc_whatever_zone_the_server_keeps(
    database_url: str, settings: Settings, postgres_url: str, admin_key: str
) -> None:
    name = make_url(database_url).database
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET TimeZone = 'America/New_York'")
    with served(create_app(settings)) as url, client_of(url, admin_key) as client:
        made = client.post("/api/projects", json={"name": "x"}).json()["project"]
        read = client.get(f"/api/projects/{made['id']}").json()["project"]
    assert read == made
    assert read["created_at"].endswith("Z")
