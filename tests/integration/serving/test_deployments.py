"""Deployments over HTTP: every change, and every change that is refused."""

from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import MakeKey, client_of
from tests.integration.api.shared import FIXTURES
from tests.integration.serving.conftest import AddModel, Deploy

database_url, settings, app, base_url = FIXTURES

NOWHERE = "00000000-0000-7000-8000-000000000000"


def look(client: httpx.Client, deployment: dict[str, Any] | str) -> dict[str, Any]:
    deployment_id = deployment if isinstance(deployment, str) else deployment["deployment_id"]
    found: dict[str, Any] = client.get(f"/api/mlops/deployments/{deployment_id}").raise_for_status().json()
    return found["deployment"]


def act(client: httpx.Client, deployment: dict[str, Any] | str, action: str, **body: Any) -> httpx.Response:
    deployment_id = deployment if isinstance(deployment, str) else deployment["deployment_id"]
    return client.post(f"/api/mlops/deployments/{deployment_id}/{action}", json=body)


def promote(client: httpx.Client, deployment: dict[str, Any]) -> httpx.Response:
    return act(client, deployment, "promote", to_stage="production")


def test_a_model_is_deployed_to_staging(client: httpx.Client, project_id: str, add_model: AddModel) -> None:
    model_id = add_model()
    made = client.post(
        f"/api/mlops/projects/{project_id}/deployments",
        json={"model_id": model_id, "name": "fraud-detector", "stage": "staging", "traffic_percent": 100},
    )
    assert made.status_code == 201
    answer = made.json()
    assert answer["id"] == answer["deployment_id"]
    assert (answer["stage"], answer["is_active"], answer["status"]) == ("staging", True, "active")
    detail = client.get(f"/api/mlops/deployments/{answer['id']}").json()
    assert detail["deployment"]["config"] == {"name": "fraud-detector", "traffic_percent": 100}
    assert detail["deployment"]["project_id"] == project_id
    assert detail["deployment"]["created_at"].endswith("Z")
    assert (detail["model"]["id"], detail["model"]["algo"]) == (model_id, "gbm")


def test_options_may_be_nested_as_the_client_sends_them(client: httpx.Client, deploy: Deploy) -> None:
    made = deploy(config={"traffic_percent": 20, "privacy_anonymize_logs": False})
    assert look(client, made)["config"] == {
        "name": "scorer",
        "traffic_percent": 20,
        "privacy_anonymize_logs": False,
    }


def test_the_same_option_flat_and_nested_may_agree(client: httpx.Client, deploy: Deploy) -> None:
    made = deploy(traffic_percent=30, config={"traffic_percent": 30, "name": "scorer"})
    assert look(client, made)["config"]["traffic_percent"] == 30


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"traffic_percent": 40, "config": {"traffic_percent": 50}}, "traffic_percent"),
        ({"config": {"name": "other"}}, "name"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"stage": "archived"}, "stage"),
        ({"stage": None}, "stage"),
        ({"traffic_percent": 0}, "traffic_percent"),
        ({"traffic_percent": 101}, "traffic_percent"),
        ({"traffic_percent": "50"}, "traffic_percent"),
        ({"model_id": "no-uuid"}, "model_id"),
        ({"surprise": 1}, "surprise"),
        ({"config": {"surprise": 1}}, "config.surprise"),
        ({"privacy_policy_id": NOWHERE}, "privacy_policy_id"),
        ({"privacy_policy_id": "hipaa"}, "privacy_policy_id"),
        ({"privacy_anonymize_logs": "yes"}, "privacy_anonymize_logs"),
        ({"privacy_column_map": {"AGE": "shoe_size"}}, "privacy_column_map"),
        ({"privacy_column_map": {"email": "email_address"}}, "privacy_column_map"),
        ({"config": {"privacy_column_map": []}}, "config.privacy_column_map"),
        ({"privacy_threshold": 1.1}, "privacy_threshold"),
        ({"config": {"privacy_threshold": -0.1}}, "config.privacy_threshold"),
    ],
)
def test_a_wrong_body_is_refused_by_field(
    client: httpx.Client, project_id: str, add_model: AddModel, change: dict[str, Any], field: str
) -> None:
    body = {"model_id": add_model(), "name": "scorer", "stage": "staging"} | change
    refused = client.post(f"/api/mlops/projects/{project_id}/deployments", json=body)
    assert refused.status_code == 422, refused.text
    assert [error["field"] for error in refused.json()["errors"]] == [field]
    assert client.get(f"/api/mlops/projects/{project_id}/deployments").json()["total"] == 0


def test_an_unknown_project_or_model_is_not_found(client: httpx.Client, project_id: str, add_model: AddModel) -> None:
    body = {"model_id": add_model(), "name": "scorer", "stage": "staging"}
    assert client.post(f"/api/mlops/projects/{NOWHERE}/deployments", json=body).status_code == 404
    body["model_id"] = NOWHERE
    assert client.post(f"/api/mlops/projects/{project_id}/deployments", json=body).status_code == 404


def test_a_model_of_another_project_is_refused(client: httpx.Client, project_id: str, add_model: AddModel) -> None:
    other = client.post("/api/projects", json={"name": "Other"}).json()["project_id"]
    body = {"model_id": add_model(project=other), "name": "scorer", "stage": "staging"}
    refused = client.post(f"/api/mlops/projects/{project_id}/deployments", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "model_id"


def test_a_key_of_one_project_does_not_see_another_ones_model_or_deployment(
    client: httpx.Client, base_url: str, make_key: MakeKey, project_id: str, add_model: AddModel, deploy: Deploy
) -> None:
    made, model_id = deploy(), add_model()
    other = client.post("/api/projects", json={"name": "Other"}).json()["project_id"]
    with client_of(base_url, make_key("read", "write", project=other)) as stranger:
        assert stranger.get(f"/api/mlops/deployments/{made['id']}").status_code == 404
        assert promote(stranger, made).status_code == 404
        assert act(stranger, made, "deactivate").status_code == 404
        assert act(stranger, made, "rollback", to_model_id=model_id).status_code == 404
        body = {"model_id": model_id, "name": "scorer", "stage": "staging"}
        assert stranger.post(f"/api/mlops/projects/{other}/deployments", json=body).status_code == 404
        assert stranger.post(f"/api/mlops/projects/{project_id}/deployments", json=body).status_code == 404
    assert look(client, made)["status"] == "active"


def test_creating_in_production_archives_the_present_one(client: httpx.Client, deploy: Deploy) -> None:
    first, second = deploy(stage="production"), deploy(stage="production")
    archived, serving = look(client, first), look(client, second)
    assert (archived["stage"], archived["status"], archived["is_active"]) == ("archived", "inactive", False)
    assert second["id"] in archived["status_reason"]
    assert (serving["stage"], serving["status"]) == ("production", "active")


def test_promotion_archives_the_present_production(client: httpx.Client, deploy: Deploy) -> None:
    present, next_one = deploy(stage="production"), deploy()
    answer = promote(client, next_one)
    assert (answer.status_code, answer.json()) == (
        200,
        {"ok": True, "deployment_id": next_one["id"], "stage": "production"},
    )
    assert look(client, present)["stage"] == "archived"
    assert look(client, next_one)["stage"] == "production"


def test_promoting_the_present_production_again_is_harmless(
    client: httpx.Client, project_id: str, deploy: Deploy
) -> None:
    made = deploy(stage="production")
    events = len(client.get(f"/api/projects/{project_id}/timeline").json()["events"])
    assert promote(client, made).json()["stage"] == "production"
    assert len(client.get(f"/api/projects/{project_id}/timeline").json()["events"]) == events


def test_an_inactive_deployment_is_not_promoted(client: httpx.Client, deploy: Deploy) -> None:
    made = deploy()
    act(client, made, "deactivate")
    refused = promote(client, made)
    assert refused.status_code == 409
    assert "rollback" in refused.json()["detail"]


@pytest.mark.parametrize("body", [{}, {"to_stage": "staging"}, {"to_stage": "production", "x": 1}, {"to_stage": None}])
def test_a_wrong_promotion_is_refused(client: httpx.Client, deploy: Deploy, body: dict[str, Any]) -> None:
    assert act(client, deploy(), "promote", **body).status_code == 422


def test_rollback_reactivates_an_archived_deployment(client: httpx.Client, deploy: Deploy) -> None:
    old, present = deploy(stage="production"), deploy(stage="production")
    answer = act(client, present, "rollback", to_deployment_id=old["id"])
    assert answer.json() == {"ok": True, "deployment_id": old["id"], "stage": "production"}
    assert (look(client, old)["status"], look(client, old)["status_reason"]) == ("active", None)
    assert look(client, present)["stage"] == "archived"


def test_rollback_to_a_model_deploys_it_anew(client: httpx.Client, add_model: AddModel, deploy: Deploy) -> None:
    present, model_id = deploy(stage="production"), add_model("gbm_regression")
    answer = act(client, present, "rollback", to_model_id=model_id).raise_for_status().json()
    assert answer["deployment_id"] != present["id"]
    assert answer["stage"] == "production"
    fresh = look(client, answer["deployment_id"])
    assert (fresh["model_id"], fresh["status"], fresh["name"]) == (model_id, "active", "scorer")
    assert look(client, present)["stage"] == "archived"


def test_rollback_works_while_nothing_is_in_production(client: httpx.Client, deploy: Deploy) -> None:
    only = deploy(stage="production")
    act(client, only, "deactivate")
    assert act(client, only, "rollback", to_deployment_id=only["id"]).status_code == 200
    assert look(client, only)["stage"] == "production"


def test_a_repeated_rollback_to_a_deployment_is_harmless(client: httpx.Client, deploy: Deploy) -> None:
    old, present = deploy(stage="production"), deploy(stage="production")
    for _ in range(2):
        assert act(client, present, "rollback", to_deployment_id=old["id"]).status_code == 200
    assert look(client, old)["stage"] == "production"


def test_a_rollback_needs_a_target_that_fits(client: httpx.Client, add_model: AddModel, deploy: Deploy) -> None:
    present, staged = deploy(stage="production"), deploy()
    other = client.post("/api/projects", json={"name": "Other"}).json()["project_id"]
    foreign_model = add_model(project=other)
    foreign = client.post(
        f"/api/mlops/projects/{other}/deployments",
        json={"model_id": foreign_model, "name": "x", "stage": "staging"},
    ).json()
    refusals = [
        ({}, 422),
        ({"to_deployment_id": None}, 422),
        ({"to_model": NOWHERE}, 422),
        ({"to_deployment_id": NOWHERE}, 404),
        ({"to_model_id": NOWHERE}, 404),
        ({"to_deployment_id": foreign["id"]}, 422),
        ({"to_model_id": foreign_model}, 422),
        ({"to_deployment_id": present["id"], "to_model_id": add_model("gbm_regression")}, 422),
        ({"to_deployment_id": staged["id"]}, 409),
    ]
    for body, status in refusals:
        assert act(client, present, "rollback", **body).status_code == status, body
    assert look(client, present)["stage"] == "production"


def test_deactivation_archives_once(client: httpx.Client, deploy: Deploy) -> None:
    made = deploy(stage="production")
    answer = client.post(f"/api/mlops/deployments/{made['id']}/deactivate")
    assert answer.json() == {"ok": True, "deployment_id": made["id"], "stage": "archived"}
    assert (look(client, made)["status"], look(client, made)["stage"]) == ("inactive", "archived")
    again = act(client, made, "deactivate")
    assert again.status_code == 409
    assert "inactive already" in again.json()["detail"]


@pytest.mark.parametrize("action", ["promote", "rollback", "deactivate"])
def test_an_unknown_deployment_is_not_found(client: httpx.Client, action: str) -> None:
    body = {"promote": {"to_stage": "production"}, "rollback": {"to_model_id": NOWHERE}}.get(action, {})
    assert act(client, NOWHERE, action, **body).status_code == 404
    assert act(client, "no-uuid", action, **body).status_code == 404


def test_canary_shares_stay_under_100_together(client: httpx.Client, project_id: str, deploy: Deploy) -> None:
    deploy(traffic_percent=60)
    canary, model_id = deploy(traffic_percent=39), deploy()["id"]
    assert model_id
    body = {"model_id": look(client, canary)["model_id"], "name": "one more", "stage": "staging", "traffic_percent": 1}
    refused = client.post(f"/api/mlops/projects/{project_id}/deployments", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "traffic_percent"
    act(client, canary, "deactivate")
    assert client.post(f"/api/mlops/projects/{project_id}/deployments", json=body).status_code == 201


def test_deployments_are_listed_newest_first_by_stage_and_status(
    client: httpx.Client, project_id: str, deploy: Deploy
) -> None:
    made = [deploy(stage=stage)["id"] for stage in ("production", "staging", "production", "staging")]
    url = f"/api/mlops/projects/{project_id}/deployments"
    everything = client.get(url).json()
    assert [item["id"] for item in everything["items"]] == made[::-1]
    assert (everything["total"], everything["limit"], everything["offset"]) == (4, 50, 0)
    page = client.get(url, params={"limit": 2, "offset": 1}).json()
    assert [item["id"] for item in page["items"]] == made[2:0:-1]
    assert [item["id"] for item in client.get(url, params={"stage": "archived"}).json()["items"]] == made[:1]
    active = client.get(url, params={"status": "active", "stage": "staging"}).json()
    assert [item["id"] for item in active["items"]] == [made[3], made[1]]
    assert client.get(url, params={"limit": 201}).status_code == 422
    assert client.get(url, params={"stage": "nowhere"}).status_code == 422
    assert client.get(f"/api/mlops/projects/{NOWHERE}/deployments").status_code == 404


def test_a_repeated_create_with_an_idempotency_key_creates_once(
    client: httpx.Client, project_id: str, add_model: AddModel
) -> None:
    body = {"model_id": add_model(), "name": "scorer", "stage": "production"}
    url, headers = f"/api/mlops/projects/{project_id}/deployments", {"Idempotency-Key": "one"}
    first, second = (client.post(url, json=body, headers=headers) for _ in range(2))
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert client.get(url).json()["total"] == 1
    assert client.post(url, json=body | {"name": "other"}, headers=headers).status_code == 409


def test_every_change_is_in_the_audit_log(client: httpx.Client, project_id: str, deploy: Deploy) -> None:
    first, second = deploy(stage="production"), deploy()
    promote(client, second)
    act(client, second, "rollback", to_deployment_id=first["id"])
    act(client, first, "deactivate")
    events = client.get(f"/api/projects/{project_id}/timeline").json()["events"]
    told = [(event["action"], event["subject_id"]) for event in events if event["subject_type"] == "deployment"]
    assert sorted(told) == sorted(
        [
            ("deployment.created", first["id"]),
            ("deployment.created", second["id"]),
            ("deployment.superseded", first["id"]),
            ("deployment.promoted", second["id"]),
            ("deployment.superseded", second["id"]),
            ("deployment.rolled_back", first["id"]),
            ("deployment.deactivated", first["id"]),
        ]
    )
    promoted = next(event for event in events if event["action"] == "deployment.promoted")
    assert (promoted["before"]["stage"], promoted["after"]["stage"]) == ("staging", "production")
