"""Deployments that name a policy: what is refused, what protects the policy, and that its changes count at once."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from api.cli.main import main
from api.scoring.registry import Registry
from api.swap import Swap
from monitoring.store.database import Database
from monitoring.store.deployments import ServingFacts, find_deployment, read_serving_facts
from monitoring.store.privacy_facts import DEFAULT_VERSION_ID
from monitoring.store.tables import Deployment
from tests.h2o_models import TrainedModels
from tests.integration.alerts.conftest import fields_of
from tests.integration.api.conftest import Installation
from tests.integration.privacy.conftest import AddRule, MakePolicy, look
from tests.integration.serving.conftest import store_model

POLICIES = "/api/privacy/policies"
NOWHERE = "00000000-0000-7000-8000-000000000000"
Deploy = Callable[..., httpx.Response]


@pytest.fixture
def deploy(client: httpx.Client, database: Database, h2o_models: TrainedModels, project_id: str) -> Deploy:
    """Return a function that tries to deploy a model with the feature AGE to staging."""
    model_id = store_model(database, h2o_models["gbm_binomial"], project_id)

    def make(**options: Any) -> httpx.Response:
        body = {"model_id": model_id, "name": "scorer", "stage": "staging"} | options
        return client.post(f"/api/mlops/projects/{project_id}/deployments", json=body)

    return make


def made(answer: httpx.Response) -> uuid.UUID:
    assert answer.status_code == 201, answer.text
    return uuid.UUID(answer.json()["id"])


def facts_of(database: Database, deployment_id: uuid.UUID) -> ServingFacts:
    with database.transaction() as session:
        return read_serving_facts(session, [deployment_id])[deployment_id]


def served_version(installation: Installation, deployment_id: uuid.UUID) -> uuid.UUID:
    """Return the version that this process masks a deployment's rows by."""
    registry: Registry = installation.app.state.serving.registry
    served = registry._served[deployment_id]
    assert served.facts.privacy is not None
    return served.facts.privacy.version_id


@contextmanager
def heard(database: Database) -> Iterator[list[str]]:
    """Collect what is announced to all processes meanwhile."""
    payloads: list[str] = []
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("LISTEN pilothouse")
        yield payloads
        payloads += [note.payload for note in connection.notifies(timeout=1.0)]


def test_a_deployment_keeps_what_was_asked_and_masks_everywhere_unless_told(
    client: httpx.Client, database: Database, deploy: Deploy, make_policy: MakePolicy
) -> None:
    policy = make_policy(profile="hipaa")
    deployment_id = made(
        deploy(
            config={"privacy_policy_id": policy["id"], "privacy_threshold": 0.3},
            privacy_column_map={"AGE": "age"},
            privacy_anonymize_response=False,
        )
    )
    shown = client.get(f"/api/mlops/deployments/{deployment_id}").json()["deployment"]
    assert shown["config"] == {
        "name": "scorer",
        "traffic_percent": 100,
        "privacy_policy_id": policy["id"],
        "privacy_threshold": 0.3,
        "privacy_column_map": {"AGE": "age"},
        "privacy_anonymize_logs": True,
        "privacy_anonymize_response": False,
    }
    privacy = facts_of(database, deployment_id).privacy
    assert privacy is not None
    whole = look(client, policy)
    assert (str(privacy.version_id), whole["deployment_ids"]) == (whole["version_id"], [str(deployment_id)])
    assert (privacy.column_map, privacy.threshold) == ({"AGE": "age"}, 0.3)
    assert (privacy.logs, privacy.response, privacy.key_generation) == (True, False, 1)
    assert privacy.rule_set is not None
    assert privacy.rule_set["rules"].keys() == {rule["pii_type"] for rule in whole["effective_rules"]}


@pytest.mark.parametrize(
    ("options", "is_masking"),
    [
        ({}, False),
        ({"privacy_anonymize_logs": False, "privacy_anonymize_response": False, "privacy_column_map": {}}, False),
        ({"privacy_anonymize_logs": True}, True),
        ({"privacy_anonymize_response": True}, True),
        ({"privacy_column_map": {"AGE": "age"}}, True),
    ],
)
def test_without_a_policy_the_catalogues_actions_mask_when_anything_asks(
    database: Database, deploy: Deploy, options: dict[str, Any], *, is_masking: bool
) -> None:
    privacy = facts_of(database, made(deploy(**options))).privacy
    assert (privacy is not None) == is_masking
    if privacy is not None:
        assert (privacy.version_id, privacy.rule_set) == (DEFAULT_VERSION_ID, None)
        assert (privacy.logs, privacy.response) == (True, True)


def test_what_cannot_be_attached_is_refused(
    client: httpx.Client, project_id: str, deploy: Deploy, make_policy: MakePolicy
) -> None:
    draft = make_policy(status="draft")
    refused = deploy(privacy_policy_id=draft["id"])
    assert refused.status_code == 409
    assert "draft" in refused.json()["detail"]
    other = client.post("/api/projects", json={"name": "Other"}).json()["project_id"]
    for policy_id in (NOWHERE, make_policy(project_id=other)["id"]):
        assert fields_of(deploy(privacy_policy_id=policy_id)) == {"privacy_policy_id"}
    wrong_column = deploy(privacy_column_map={"SHOE": "age"})
    assert fields_of(wrong_column) == {"privacy_column_map"}
    assert "'SHOE'" in wrong_column.json()["detail"]
    assert fields_of(deploy(privacy_column_map={"AGE": "shoe_size"})) == {"privacy_column_map"}
    assert client.get(f"/api/mlops/projects/{project_id}/deployments").json()["total"] == 0
    client.put(f"{POLICIES}/{draft['id']}", json={"status": "active"}).raise_for_status()
    made(deploy(privacy_policy_id=draft["id"]))


def test_an_attached_policy_stays_though_its_deployment_is_archived(
    client: httpx.Client, deploy: Deploy, make_policy: MakePolicy
) -> None:
    policy = make_policy()
    path = f"{POLICIES}/{policy['id']}"
    deployment_id = made(deploy(privacy_policy_id=policy["id"]))
    for _ in range(2):
        for refused in (client.delete(path), client.put(path, json={"status": "draft"})):
            assert refused.status_code == 409
            assert str(deployment_id) in refused.json()["detail"]
        client.post(f"/api/mlops/deployments/{deployment_id}/deactivate")
    assert look(client, policy)["status"] == "active"


def test_every_change_counts_at_once_in_this_process_and_is_announced_to_the_others(
    installation: Installation,
    client: httpx.Client,
    database: Database,
    deploy: Deploy,
    make_policy: MakePolicy,
    add_rule: AddRule,
) -> None:
    policy = make_policy()
    path = f"{POLICIES}/{policy['id']}"
    deployment_id = made(deploy(privacy_policy_id=policy["id"]))
    other_id = made(deploy())
    rule: dict[str, Any] = {}
    said = {"pii_type": "us_ssn", "action": "drop"}
    seen = [served_version(installation, deployment_id)]
    for change in (
        lambda: rule.update(add_rule(policy, "us_ssn", "redact")),
        lambda: client.put(f"{path}/rules/{rule['id']}", json=said),
        lambda: client.delete(f"{path}/rules/{rule['id']}"),
        lambda: client.put(path, json={"profile": "gdpr"}),
    ):
        with heard(database) as payloads:
            change()
            assert str(served_version(installation, deployment_id)) == look(client, policy)["version_id"]
        assert f"deployment:{deployment_id}" in payloads
        assert f"deployment:{other_id}" not in payloads
        seen.append(served_version(installation, deployment_id))
    assert len(set(seen)) == 5


def test_a_rotated_key_is_announced_and_gives_other_tokens_from_then_on(
    client: httpx.Client,
    database: Database,
    project_id: str,
    deploy: Deploy,
    make_policy: MakePolicy,
    add_rule: AddRule,
) -> None:
    policy = make_policy()
    add_rule(policy, "email_address", "hash")
    deployment_id = made(deploy(privacy_policy_id=policy["id"]))

    def token() -> str:
        shown = client.post(f"{POLICIES}/{policy['id']}/preview", json={"inputs": {"email": "jo@example.org"}})
        return str(shown.json()["records"][0]["stored"]["email"])

    before = token()
    environment = {"PILOTHOUSE_DATABASE_URL": database.url}
    rotate = ["privacy", "rotate-key", "--project"]
    with heard(database) as payloads:
        done = CliRunner().invoke(main, [*rotate, project_id], env=environment)
        assert done.exit_code == 0, done.output
    assert "generation 2" in done.output
    assert f"deployment:{deployment_id}" in payloads
    assert token() != before
    privacy = facts_of(database, deployment_id).privacy
    assert privacy is not None
    assert privacy.key_generation == 2
    events = client.get(f"/api/projects/{project_id}/timeline").json()["events"]
    assert events[0]["action"] == "privacy_key.rotated"
    assert (events[0]["before"], events[0]["after"]) == ({"generation": 1}, {"generation": 2})
    name = f"named {uuid.uuid4()}"
    client.put(f"/api/projects/{project_id}", json={"name": name}).raise_for_status()
    assert "generation 3" in CliRunner().invoke(main, [*rotate, name], env=environment).output
    unknown = CliRunner().invoke(main, [*rotate, "nobody's"], env=environment)
    assert (unknown.exit_code, unknown.output) == (1, "Error: There is no project nobody's\n")


def test_a_policy_that_is_attached_at_this_moment_is_not_removed(
    client: httpx.Client, database: Database, project_id: str, deploy: Deploy, make_policy: MakePolicy
) -> None:
    policy = make_policy()
    path = f"{POLICIES}/{policy['id']}"
    plain = made(deploy())
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as session:
            Swap(session, uuid.UUID(project_id), "x", datetime.now(UTC))
            removal = pool.submit(client.delete, path)
            while not _waits(database):
                assert not removal.done()
            like = find_deployment(session, plain)
            session.add(
                Deployment(
                    project_id=like.project_id,
                    model_id=like.model_id,
                    name="late",
                    stage="archived",
                    status="inactive",
                    config=like.config | {"privacy_policy_id": policy["id"]},
                )
            )
        assert removal.result(timeout=20).status_code == 409
    assert look(client, policy)["name"] == policy["name"]


def _waits(database: Database) -> bool:
    with database.transaction() as session:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type='Lock'"
        return bool(session.execute(text(waiting)).scalar_one())
