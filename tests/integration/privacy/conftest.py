"""Fixtures of the tests of privacy policies: one served installation a module, a project a test."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.integration.alerts.conftest import (  # noqa: F401 - fixtures
    client,
    database,
    installation,
    project_id,
)
from tests.integration.api.conftest import module_database_url  # noqa: F401 - a fixture

MakePolicy = Callable[..., dict[str, Any]]
AddRule = Callable[..., dict[str, Any]]


@pytest.fixture
def make_policy(client: httpx.Client, project_id: str) -> MakePolicy:  # noqa: F811
    """Return a function that makes a policy: `make_policy(profile="hipaa")`."""

    def make(**said: Any) -> dict[str, Any]:
        body = {"project_id": project_id, "name": f"policy {uuid.uuid4()}"} | said
        made = client.post("/api/privacy/policies", json=body)
        assert made.status_code == 201, made.text
        return dict(made.json())

    return make


@pytest.fixture
def add_rule(client: httpx.Client) -> AddRule:  # noqa: F811
    """Return a function that adds a rule to a policy: `add_rule(policy, "us_ssn", "redact")`."""

    def add(policy: dict[str, Any], pii_type: str, action: str, **said: Any) -> dict[str, Any]:
        body = {"pii_type": pii_type, "action": action} | said
        made = client.post(f"/api/privacy/policies/{policy['id']}/rules", json=body)
        assert made.status_code == 201, made.text
        return dict(made.json())

    return add


def look(client: httpx.Client, policy: dict[str, Any]) -> dict[str, Any]:  # noqa: F811
    """Return a policy with all that belongs to it."""
    found: dict[str, Any] = client.get(f"/api/privacy/policies/{policy['id']}").raise_for_status().json()
    return found


def in_force(client: httpx.Client, policy: dict[str, Any]) -> dict[str, tuple[str, str]]:  # noqa: F811
    """Return action and source of each rule in force, by type."""
    return {rule["pii_type"]: (rule["action"], rule["source"]) for rule in look(client, policy)["effective_rules"]}
