"""Silences over HTTP."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.integration.alerts.conftest import fields_of, timeline_of


def at(hours: float) -> str:
    """Return the time so many hours from now, as the API writes it."""
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def body(**said: Any) -> dict[str, Any]:
    return {"matchers": {"severity": "warning"}, "ends_at": at(2)} | said


def test_a_silence_lives_through_its_states(client: httpx.Client, project_id: str) -> None:
    path = f"/api/mlops/projects/{project_id}/silences"
    now = client.post(path, json=body(comment="a new version goes out"))
    assert now.status_code == 201, now.text
    assert now.json()["state"] == "active"
    assert now.json()["comment"] == "a new version goes out"
    later = client.post(path, json=body(starts_at=at(1))).json()
    assert later["state"] == "waiting"
    assert client.get(path).json() == {"items": [later, now.json()], "total": 2, "limit": 50, "offset": 0}
    one = f"{path}/{later['id']}"
    assert client.get(one).json() == later
    changed = client.put(one, json=body(matchers={"metric": "error_rate"})).json()
    assert (changed["state"], changed["matchers"]) == ("active", {"metric": "error_rate"})
    assert client.delete(one).status_code == 204
    assert client.get(one).status_code == 404
    events = timeline_of(client, project_id)
    assert [event["action"] for event in events] == [
        "silence.deleted",
        "silence.updated",
        "silence.created",
        "silence.created",
    ]
    assert events[1]["before"]["matchers"] == {"severity": "warning"}
    assert events[1]["after"]["matchers"] == {"metric": "error_rate"}


def test_it_is_found_in_its_own_project_only(client: httpx.Client, project_id: str) -> None:
    silence = client.post(f"/api/mlops/projects/{project_id}/silences", json=body()).json()
    other = client.post("/api/projects", json={"name": "other"}).json()["project_id"]
    path = f"/api/mlops/projects/{other}/silences/{silence['id']}"
    assert client.get(path).status_code == 404
    assert client.put(path, json=body()).status_code == 404
    assert client.delete(path).status_code == 404
    assert client.get(f"/api/mlops/projects/{project_id}/silences/{silence['id']}").status_code == 200


def test_ids_are_matched_as_we_spell_them(client: httpx.Client, project_id: str) -> None:
    rule_id = uuid.uuid4()
    matchers = {"rule_id": str(rule_id).upper(), "rule": "Drifts", "deployment_id": rule_id.hex}
    made = client.post(f"/api/mlops/projects/{project_id}/silences", json=body(matchers=matchers)).json()
    assert made["matchers"] == {"rule_id": str(rule_id), "rule": "Drifts", "deployment_id": str(rule_id)}


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"matchers": {}}, "matchers"),
        ({"matchers": {"colour": "red"}}, "matchers"),
        ({"matchers": {"severity": "grave"}}, "matchers.severity"),
        ({"matchers": {"metric": "psi"}}, "matchers.metric"),
        ({"matchers": {"rule_id": "mine"}}, "matchers.rule_id"),
        ({"matchers": {"feature": ""}}, "matchers"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
        ({"starts_at": "2126-01-01T00:00:00Z", "ends_at": "2125-01-01T00:00:00Z"}, "ends_at"),
        ({"ends_at": "2126-01-01T00:00:00"}, "ends_at"),
        ({"comment": "x" * 4001}, "comment"),
    ],
)
def test_a_wrong_silence_is_refused_by_field(
    client: httpx.Client, project_id: str, said: dict[str, Any], field: str
) -> None:
    answer = client.post(f"/api/mlops/projects/{project_id}/silences", json=body(**said))
    assert {name.split("[")[0] for name in fields_of(answer)} == {field}
    assert client.get(f"/api/mlops/projects/{project_id}/silences").json()["total"] == 0
