"""Fixtures of the alerts' tests: one served installation a module, a project a test."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from monitoring.store.database import Database
from tests.integration.alerts.furnishing import rule_body
from tests.integration.api.conftest import (
    Installation,
    client_of,
    installed,
    module_database_url,  # noqa: F401 - a fixture
)

MakeChannel = Callable[..., dict[str, Any]]
MakeRule = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def installation(
    module_database_url: str,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    with installed(module_database_url, tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture
def database(installation: Installation) -> Database:
    """The served installation's database."""
    return installation.database


@pytest.fixture
def client(installation: Installation) -> Iterator[httpx.Client]:
    """A client that calls as admin."""
    with client_of(installation.base_url, installation.admin_key) as opened:
        yield opened


@pytest.fixture
def project_id(client: httpx.Client) -> str:
    """A project of the test's own."""
    return str(client.post("/api/projects", json={"name": "Fraud"}).raise_for_status().json()["project_id"])


@pytest.fixture
def make_channel(client: httpx.Client, project_id: str) -> MakeChannel:
    """Return a function that makes a channel: `make_channel(type="slack", config={...})`."""

    def make(**said: Any) -> dict[str, Any]:
        body = {"name": f"mail {uuid.uuid4()}", "type": "email", "config": {"to": ["ops@example.org"]}} | said
        made = client.post(f"/api/mlops/projects/{project_id}/channels", json=body)
        assert made.status_code == 201, made.text
        return dict(made.json())

    return make


@pytest.fixture
def make_rule(client: httpx.Client, project_id: str) -> MakeRule:
    """Return a function that makes a rule: `make_rule(metric="error_rate")`."""

    def make(**said: Any) -> dict[str, Any]:
        body = rule_body(**({"name": f"rule {uuid.uuid4()}"} | said))
        made = client.post(f"/api/mlops/projects/{project_id}/alert-rules", json=body)
        assert made.status_code == 201, made.text
        return dict(made.json())

    return make


def timeline_of(client: httpx.Client, project_id: str) -> list[dict[str, Any]]:
    """Return the audit events of a project, newest first."""
    events = client.get(f"/api/projects/{project_id}/timeline").raise_for_status().json()["events"]
    return [event for event in events if event["subject_type"] != "project"]


def fields_of(answer: httpx.Response) -> set[str]:
    """Return the fields that a 422 names."""
    assert answer.status_code == 422, answer.text
    return {error["field"] for error in answer.json()["errors"]}
