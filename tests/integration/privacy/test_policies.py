"""Privacy policies over HTTP: made out of a profile, changed by version, removed."""

import uuid
from typing import Any

import httpx
import pytest

from api.privacy.catalogue import CATALOGUE
from api.privacy.rule_set import profile_rules
from monitoring.store.database import Database
from monitoring.store.keys import create_key
from monitoring.store.privacy_facts import DEFAULT_VERSION_ID
from tests.integration.alerts.conftest import fields_of, timeline_of
from tests.integration.api.conftest import Installation, client_of
from tests.integration.privacy.conftest import AddRule, MakePolicy, in_force, look

POLICIES = "/api/privacy/policies"


@pytest.mark.parametrize("profile", ["hipaa", "gdpr", "pci_dss", "ccpa", "custom"])
def test_a_policy_begins_with_the_rules_of_its_profile(
    client: httpx.Client, project_id: str, make_policy: MakePolicy, profile: str
) -> None:
    made = make_policy(name="patients", profile=profile, description="Intake forms", status="draft")
    assert (made["project_id"], made["name"], made["status"]) == (project_id, "patients", "draft")
    assert (made["profile"], made["settings"], made["version"]) == (profile, {"confidence_threshold": 0.5}, 1)
    whole = look(client, made)
    assert {name: whole[name] for name in made} == made
    assert (whole["rules"], whole["deployment_ids"]) == ([], [])
    assert in_force(client, made) == {name: (rule.action, "profile") for name, rule in profile_rules(profile).items()}


def test_the_least_that_the_client_sends_makes_a_policy_that_can_be_used(client: httpx.Client, project_id: str) -> None:
    made = client.post(POLICIES, json={"project_id": project_id, "name": "x", "description": ""})
    assert made.status_code == 201
    assert (made.json()["profile"], made.json()["status"]) == ("custom", "active")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": None}, "name"),
        ({"profile": "sox"}, "profile"),
        ({"status": "archived"}, "status"),
        ({"settings": {"confidence_threshold": 1.01}}, "settings.confidence_threshold"),
        ({"settings": {"threshold": 0.5}}, "settings.threshold"),
        ({"description": "\x00"}, "description"),
        ({"project_id": "x"}, "project_id"),
        ({"rules": []}, "rules"),
    ],
)
def test_a_wrong_policy_is_refused_by_field(
    client: httpx.Client, project_id: str, change: dict[str, Any], field: str
) -> None:
    body = {"project_id": project_id, "name": "x"} | change
    assert fields_of(client.post(POLICIES, json=body)) == {field}


def test_a_name_is_taken_once_in_a_project(client: httpx.Client, project_id: str, make_policy: MakePolicy) -> None:
    first, second = make_policy(name="one"), make_policy(name="two")
    again = client.post(POLICIES, json={"project_id": project_id, "name": "one"})
    assert again.status_code == 409
    assert first["id"] in again.json()["detail"]
    assert client.put(f"{POLICIES}/{second['id']}", json={"name": "one"}).status_code == 409


def test_a_repeated_creation_creates_once(client: httpx.Client, project_id: str) -> None:
    body, headers = {"project_id": project_id, "name": "x"}, {"Idempotency-Key": str(uuid.uuid4())}
    first, again = (client.post(POLICIES, json=body, headers=headers) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    other = client.post(POLICIES, json=body | {"name": "y"}, headers=headers)
    assert other.status_code == 409
    rule = {"pii_type": "us_ssn", "action": "drop"}
    path, headers = f"{POLICIES}/{first.json()['id']}/rules", {"Idempotency-Key": str(uuid.uuid4())}
    assert client.post(path, json=rule, headers=headers).json() == client.post(path, json=rule, headers=headers).json()
    assert client.get(path).json()["total"] == 1


def test_policies_are_listed_newest_first_and_by_project_profile_and_status(
    client: httpx.Client, database: Database, installation: Installation, project_id: str, make_policy: MakePolicy
) -> None:
    drafts = [make_policy(profile=profile, status="draft") for profile in ("gdpr", "hipaa")]
    used = make_policy(profile="gdpr")

    def listed(**parameters: str) -> list[dict[str, Any]]:
        return list(client.get(POLICIES, params=parameters).raise_for_status().json()["items"])

    assert listed(project_id=project_id) == [used, *reversed(drafts)]
    assert listed(project_id=project_id, profile="gdpr") == [used, drafts[0]]
    assert listed(project_id=project_id, status="draft") == list(reversed(drafts))
    assert fields_of(client.get(POLICIES, params={"status": "x"})) == {"status"}
    other = client.post("/api/projects", json={"name": "Other"}).json()["project_id"]
    assert listed(project_id=other) == []
    with database.transaction() as session:
        key = create_key(session, name="x", scopes=["read"], project_id=uuid.UUID(project_id))[1]
    with client_of(installation.base_url, key) as bound:
        assert bound.get(POLICIES).json()["total"] == 3
        assert bound.get(POLICIES, params={"project_id": other}).status_code == 404


def test_what_is_masked_changes_by_version_and_is_audited(
    client: httpx.Client, project_id: str, make_policy: MakePolicy
) -> None:
    made = make_policy(name="first", profile="custom", status="draft")
    path = f"{POLICIES}/{made['id']}"
    renamed = client.put(path, json={"name": "second", "description": "new"}).json()
    assert (renamed["version"], renamed["profile"], renamed["status"]) == (1, "custom", "draft")
    assert client.put(path, json={"status": "active"}).json()["version"] == 2
    stricter = client.put(path, json={"profile": "hipaa", "settings": {"confidence_threshold": 0.3}}).json()
    assert (stricter["version"], stricter["settings"]) == (3, {"confidence_threshold": 0.3})
    versions = client.get(f"{path}/versions").json()
    assert [each["number"] for each in versions["items"]] == [3, 2, 1]
    newest, _, oldest = versions["items"]
    assert oldest["rule_set"] == {"threshold": 0.5, "rules": {}}
    assert newest["rule_set"]["threshold"] == 0.3
    assert newest["rule_set"]["rules"].keys() == profile_rules("hipaa").keys()
    assert newest["id"] == look(client, made)["version_id"]
    actor = newest["created_by"]
    events = timeline_of(client, project_id)
    assert [(event["action"], event["actor"]) for event in events] == [
        *[("privacy_policy.updated", actor)] * 3,
        ("privacy_policy.created", actor),
    ]
    assert (events[0]["before"]["profile"], events[0]["after"]["profile"]) == ("custom", "hipaa")
    assert (events[0]["before"]["version"], events[0]["after"]["version"]) == (2, 3)


def test_a_removed_policy_leaves_its_versions_to_the_log_rows_that_name_them(
    client: httpx.Client, project_id: str, make_policy: MakePolicy, add_rule: AddRule
) -> None:
    made = make_policy(profile="gdpr")
    add_rule(made, "us_ssn", "drop")
    version_id = look(client, made)["version_id"]
    assert client.delete(f"{POLICIES}/{made['id']}").status_code == 204
    assert client.get(f"{POLICIES}/{made['id']}").status_code == 404
    assert client.get(f"{POLICIES}/{made['id']}/versions").status_code == 404
    version = client.get(f"/api/privacy/versions/{version_id}").json()
    assert (version["policy_id"], version["number"]) == (made["id"], 2)
    assert version["rule_set"]["rules"]["us_ssn"] == {"action": "drop", "config": {}}
    assert timeline_of(client, project_id)[0]["action"] == "privacy_policy.deleted"


def test_the_catalogues_own_actions_are_a_version_too(client: httpx.Client) -> None:
    version = client.get(f"/api/privacy/versions/{DEFAULT_VERSION_ID}").json()
    assert version["policy_id"] is None
    assert {name: rule["action"] for name, rule in version["rule_set"]["rules"].items()} == {
        name: kind.action for name, kind in CATALOGUE.items()
    }


def test_the_types_say_what_finds_them_and_what_is_done_with_them(client: httpx.Client) -> None:
    page = client.get("/api/privacy/pii-types").json()
    assert page["total"] == len(page["items"]) == len(CATALOGUE) >= 72
    for kind in page["items"]:
        assert kind["description"], kind
        assert kind["example"], kind
        assert kind["detector"] in {"value", "context", "column"}, kind
        assert not kind["is_map_only"] or kind["detector"] == "column", kind
