"""Predictions over HTTP by real models: the answers, what each leaves in the log, and every bad input."""

import json
import math
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.settings import Settings
from monitoring.store.database import Database
from tests.h2o_models import TrainedModels
from tests.integration.api.conftest import MakeKey, client_of
from tests.integration.api.shared import FIXTURES
from tests.integration.serving.conftest import Deploy
from tests.integration.serving.test_deployments import NOWHERE, act

database_url, settings, app, base_url = FIXTURES

PROSTATE = {"AGE": 65, "RACE": "1", "DPROS": "2", "DCAPS": "1", "PSA": 1.4, "VOL": 0, "GLEASON": 6}


def ask(client: httpx.Client, deployment: dict[str, Any] | str, inputs: Any, **options: Any) -> httpx.Response:
    deployment_id = deployment if isinstance(deployment, str) else deployment["id"]
    body = {"inputs": inputs, "options": options}
    return client.post(f"/api/mlops/deployments/{deployment_id}/predict", json=body)


def ask_raw(client: httpx.Client, deployment: dict[str, Any], body: str | bytes) -> httpx.Response:
    url = f"/api/mlops/deployments/{deployment['id']}/predict"
    return client.post(url, content=body, headers={"Content-Type": "application/json"})


def logged(database: Database, deployment: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a deployment's log rows, oldest first."""
    with database.transaction() as session:
        rows = session.execute(
            text("SELECT * FROM inference_log WHERE deployment_id = :id ORDER BY created_at, id"),
            {"id": uuid.UUID(deployment["id"])},
        )
        return [dict(row) for row in rows.mappings()]


@pytest.mark.parametrize("name", ["gbm_binomial", "gbm_multinomial", "gbm_regression", "stackedensemble_binomial"])
def test_answers_equal_the_h2o_clusters_own(
    client: httpx.Client, deploy: Deploy, h2o_models: TrainedModels, name: str
) -> None:
    trained = h2o_models[name]
    answer = ask(client, deploy(name), trained.rows).raise_for_status().json()
    assert len(answer["predictions"]) == len(answer["inference_ids"]) == len(trained.rows)
    for ours, theirs in zip(answer["predictions"], trained.predictions, strict=True):
        if "probabilities" not in theirs:
            assert ours == {"prediction": pytest.approx(theirs["prediction"], abs=1e-6)}
            continue
        assert ours["prediction"] == theirs["prediction"]
        assert ours["probabilities"] == pytest.approx(theirs["probabilities"], abs=1e-6)
        assert ours["probability"] == ours["probabilities"][ours["prediction"]]


def test_a_single_row_answers_as_the_contract_says(client: httpx.Client, deploy: Deploy) -> None:
    made = deploy()
    answer = ask(client, made, PROSTATE, include_contributions=True)
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert set(body) == {"predictions", "contributions", "latency_ms", "deployment_id", "model_id", "inference_ids"}
    [prediction] = body["predictions"]
    assert prediction["prediction"] in {"0", "1"}
    assert sum(prediction["probabilities"].values()) == pytest.approx(1)
    [contributions] = body["contributions"]
    assert [item["feature"] for item in contributions] == [*PROSTATE, "BiasTerm"]
    margin = math.log(prediction["probabilities"]["1"] / prediction["probabilities"]["0"])
    assert sum(item["value"] for item in contributions) == pytest.approx(margin, abs=1e-5)
    assert body["deployment_id"] == made["id"]
    assert body["latency_ms"] > 0


def test_the_log_holds_what_was_asked_and_answered(client: httpx.Client, database: Database, deploy: Deploy) -> None:
    made = deploy()
    answer = ask(client, made, [PROSTATE, PROSTATE | {"AGE": None, "PSA": "2.5", "RACE": 2}]).json()
    first, second = logged(database, made)
    assert [first["id"], second["id"]] == [uuid.UUID(row_id) for row_id in answer["inference_ids"]]
    assert first["request_id"] == second["request_id"]
    assert first["inputs"] == PROSTATE
    assert second["inputs"] == PROSTATE | {"AGE": None, "PSA": 2.5, "RACE": "2"}
    for row, prediction in zip((first, second), answer["predictions"], strict=True):
        assert (row["status_code"], row["error"]) == (200, None)
        assert row["prediction"] == prediction["prediction"]
        assert row["probabilities"] == list(prediction["probabilities"].values())
        assert row["score"] == prediction["probabilities"]["1"]
        assert row["latency_ms"] == pytest.approx(answer["latency_ms"], rel=1e-3)


def test_a_payload_that_is_not_to_be_stored_is_not(client: httpx.Client, database: Database, deploy: Deploy) -> None:
    made = deploy()
    ask(client, made, PROSTATE, store_payload=False).raise_for_status()
    ask(client, made, {"nonsense": 1}, store_payload=False)
    good, bad = logged(database, made)
    assert good["inputs"] is bad["inputs"] is None
    assert (good["status_code"], bad["status_code"]) == (200, 422)
    assert good["prediction"] is not None


def test_missing_and_unseen_values_count_as_missing_and_are_reported(client: httpx.Client, deploy: Deploy) -> None:
    made = deploy()
    rows = [PROSTATE | {"RACE": "martian"}, PROSTATE | {"RACE": "venusian"}, PROSTATE | {"RACE": None}, {}]
    answer = ask(client, made, rows).raise_for_status().json()
    assert answer["warnings"] == [{"feature": "RACE", "unseen": 2, "examples": ["martian", "venusian"]}]
    predictions = answer["predictions"]
    assert predictions[0] == predictions[1] == predictions[2]
    assert "warnings" not in ask(client, made, PROSTATE).json()


BAD_ROWS = [
    ({"AGE": "old"}, "AGE"),
    ({"AGE": ""}, "AGE"),
    ({"AGE": "nan"}, "AGE"),
    ({"AGE": "inf"}, "AGE"),
    ({"AGE": 10**400}, "AGE"),
    ({"AGE": [65]}, "AGE"),
    ({"AGE": {"years": 65}}, "AGE"),
    ({"RACE": ["1"]}, "RACE"),
    ({"RACE": {"a": 1}}, "RACE"),
    ({"age": 65}, "age"),
    ({"CAPSULE": "1"}, "CAPSULE"),
    ({"": 1}, ""),
]


@pytest.mark.parametrize(("change", "field"), BAD_ROWS)
def test_a_bad_value_is_refused_by_row_and_field(
    client: httpx.Client, database: Database, deploy: Deploy, change: dict[str, Any], field: str
) -> None:
    made = deploy()
    refused = ask(client, made, [PROSTATE, PROSTATE | change])
    assert refused.status_code == 422, refused.text
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert [error["field"] for error in refused.json()["errors"]] == [f"inputs[1].{field}"]
    good, bad = logged(database, made)
    assert (good["status_code"], good["prediction"], bad["status_code"], bad["prediction"]) == (422, None, 422, None)
    assert bad["error"].startswith(f"{field}: ")
    assert good["error"] == "another row of the batch was refused"
    assert good["inputs"] == PROSTATE


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_what_is_no_finite_number_is_refused_by_row_and_field(
    client: httpx.Client, database: Database, deploy: Deploy, literal: str
) -> None:
    made = deploy()
    body = json.dumps({"inputs": [PROSTATE, PROSTATE | {"PSA": "@"}]}).replace('"@"', literal)
    refused = ask_raw(client, made, body)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["inputs[1].PSA"]
    assert len(logged(database, made)) == 2


def test_a_single_bad_row_is_named_without_a_number(client: httpx.Client, deploy: Deploy) -> None:
    refused = ask(client, deploy(), PROSTATE | {"AGE": "old"})
    assert refused.json()["errors"][0]["field"] == "inputs.AGE"


BAD_BODIES = [
    ("", "inputs"),
    ("{}", "inputs"),
    ("[]", "body"),
    ("nonsense", "body"),
    ('{"inputs": {"AGE": 1}', "body"),
    ('{"inputs": null}', "inputs"),
    ('{"inputs": "AGE"}', "inputs"),
    ('{"inputs": 1}', "inputs"),
    ('{"inputs": [1]}', "inputs[0]"),
    ('{"inputs": [{"AGE": 1}, null]}', "inputs[1]"),
    ('{"inputs": []}', "inputs"),
    ('{"inputs": {"AGE": 1}, "other": 1}', "other"),
    ('{"inputs": {"AGE": 1}, "options": []}', "options"),
    ('{"inputs": {"AGE": 1}, "options": {"other": 1}}', "options.other"),
    ('{"inputs": {"AGE": 1}, "options": {"include_contributions": "yes"}}', "options.include_contributions"),
    ('{"inputs": {"AGE": 1}, "options": {"store_payload": 1}}', "options.store_payload"),
    ('{"inputs": {"AGE": 1}, "options": {"routing_key": 1}}', "options.routing_key"),
    ('{"inputs": {"AGE": 1}, "options": {"privacy_policy_id": "x"}}', "options.privacy_policy_id"),
    ('{"inputs": {"AGE": 1}, "options": {"anonymize_logs": "yes"}}', "options.anonymize_logs"),
    ('{"inputs": {"AGE": 1}, "options": {"anonymize_response": 1}}', "options.anonymize_response"),
    ('{"inputs": {"AGE": "\\ud800"}}', "inputs.AGE"),
    ('{"inputs": {"RACE": "\\ud800"}}', "inputs.RACE"),
    ('{"inputs": {"RACE": "a\\u0000b"}}', "inputs.RACE"),
    (b'{"inputs": {"RACE": "\xff"}}', "body"),
    ('{"inputs": ' + "[" * 5000 + "]" * 5000 + "}", "inputs[0]"),
    ('{"inputs": {"AGE": ' + "[" * 5000 + "]" * 5000 + "}}", "body"),
    ('{"inputs": {"AGE": ' + "[" * 900 + "]" * 900 + "}}", "inputs.AGE"),
    ('{"inputs": {"AGE": ' + "1" * 5000 + "}}", "inputs.AGE"),
    ('{"inputs": {"RACE": NaN}, "other": 1}', "other"),
]


@pytest.mark.parametrize(("body", "field"), BAD_BODIES)
def test_a_bad_body_is_refused_and_logged(
    client: httpx.Client, database: Database, deploy: Deploy, body: str | bytes, field: str
) -> None:
    made = deploy()
    refused = ask_raw(client, made, body)
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["field"] == field
    rows = logged(database, made)
    assert rows
    assert {(row["status_code"], row["prediction"]) for row in rows} == {(422, None)}


def test_options_may_be_null_and_privacy_may_be_declined(client: httpx.Client, deploy: Deploy) -> None:
    made = deploy()
    assert ask_raw(client, made, json.dumps({"inputs": PROSTATE, "options": None})).status_code == 200
    declined = {"anonymize_logs": False, "anonymize_response": False, "privacy_policy_id": None}
    assert ask(client, made, PROSTATE, **declined).status_code == 200


def test_inputs_that_were_to_be_anonymized_are_not_kept(
    client: httpx.Client, database: Database, deploy: Deploy
) -> None:
    made = deploy()
    refused = ask(client, made, PROSTATE, anonymize_logs=True, privacy_policy_id="none of ours")
    assert refused.json()["errors"][0]["field"] == "options.privacy_policy_id"
    [row] = logged(database, made)
    assert row["inputs"] is None


def test_the_largest_batch_is_answered_and_one_row_more_is_refused(
    client: httpx.Client, database: Database, deploy: Deploy
) -> None:
    made = deploy()
    answer = ask(client, made, [PROSTATE] * 10_000).raise_for_status().json()
    assert len(answer["predictions"]) == len(set(answer["inference_ids"])) == 10_000
    refused = ask(client, made, [PROSTATE] * 10_001)
    assert refused.status_code == 422
    assert "10000" in refused.json()["errors"][0]["message"]
    assert len(logged(database, made)) == 10_001


def test_a_fault_in_a_large_body_is_named_too(client: httpx.Client, deploy: Deploy) -> None:
    made = deploy()
    body = json.dumps({"inputs": [PROSTATE] * 2000 + [PROSTATE | {"PSA": "@"}]})
    refused = ask_raw(client, made, body.replace('"@"', "NaN"))
    assert [error["field"] for error in refused.json()["errors"]] == ["inputs[2000].PSA"]
    refused = ask_raw(client, made, body.replace('"PSA": "@"', '"PSA": 1, "other": 2'))
    assert [error["field"] for error in refused.json()["errors"]] == ["inputs[2000].other"]
    assert ask_raw(client, made, body[:-1]).json()["errors"][0]["field"] == "body"


def test_at_most_a_hundred_faults_are_listed(client: httpx.Client, deploy: Deploy) -> None:
    refused = ask(client, deploy(), [{"AGE": "old", "other": 1}] * 500)
    assert len(refused.json()["errors"]) == 100


@pytest.mark.parametrize("name", ["glm_binomial", "stackedensemble_binomial", "deeplearning_regression"])
def test_a_model_without_contributions_says_so(
    client: httpx.Client, database: Database, deploy: Deploy, h2o_models: TrainedModels, name: str
) -> None:
    made = deploy(name)
    refused = ask(client, made, h2o_models[name].rows[0], include_contributions=True)
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["field"] == "options.include_contributions"
    assert "ontributions" in error["message"]
    [row] = logged(database, made)
    assert (row["status_code"], row["prediction"]) == (422, None)


@pytest.mark.parametrize("media_type", ["text/csv", "multipart/form-data; boundary=x", "application/xml"])
def test_another_media_type_is_refused(
    client: httpx.Client, database: Database, deploy: Deploy, media_type: str
) -> None:
    made = deploy()
    url = f"/api/mlops/deployments/{made['id']}/predict"
    refused = client.post(url, content=json.dumps({"inputs": PROSTATE}), headers={"Content-Type": media_type})
    assert refused.status_code == 415
    assert [row["status_code"] for row in logged(database, made)] == [415]


def test_a_body_beyond_the_bound_is_refused(
    client: httpx.Client, database: Database, deploy: Deploy, settings: Settings
) -> None:
    made = deploy()
    refused = ask_raw(client, made, b" " * (settings.max_request_mb * 2**20 + 1))
    assert refused.status_code == 413
    assert [row["status_code"] for row in logged(database, made)] == [413]


def test_only_active_deployments_predict(client: httpx.Client, database: Database, deploy: Deploy) -> None:
    made = deploy(stage="production")
    ask(client, made, PROSTATE).raise_for_status()
    deploy(stage="production")
    refused = ask(client, made, PROSTATE)
    assert refused.status_code == 409
    assert "inactive" in refused.json()["detail"]
    assert [row["status_code"] for row in logged(database, made)] == [200, 409]


def test_an_unknown_deployment_is_not_found(client: httpx.Client) -> None:
    assert ask(client, NOWHERE, PROSTATE).status_code == 404
    assert ask(client, "no-uuid", PROSTATE).status_code == 404


def test_a_key_needs_the_scope_and_the_project(
    client: httpx.Client, base_url: str, make_key: MakeKey, project_id: str, database: Database, deploy: Deploy
) -> None:
    made = deploy()
    other = client.post("/api/projects", json={"name": "Other"}).json()["project_id"]
    with client_of(base_url) as nobody:
        assert ask(nobody, made, PROSTATE).status_code == 401
    with client_of(base_url, make_key("read", "write", project=project_id)) as reader:
        assert ask(reader, made, PROSTATE).status_code == 403
    with client_of(base_url, make_key("predict", project=other)) as stranger:
        assert ask(stranger, made, PROSTATE).status_code == 404
    assert logged(database, made) == []
    with client_of(base_url, make_key("predict", project=project_id)) as caller:
        assert ask(caller, made, PROSTATE).status_code == 200


def test_a_project_answers_by_its_production(client: httpx.Client, project_id: str, deploy: Deploy) -> None:
    url = f"/api/mlops/projects/{project_id}/predict"
    assert client.post(url, json={"inputs": PROSTATE}).status_code == 409
    deploy()
    assert client.post(url, json={"inputs": PROSTATE}).status_code == 409
    made = deploy(stage="production")
    assert client.post(url, json={"inputs": PROSTATE}).raise_for_status().json()["deployment_id"] == made["id"]
    act(client, made, "deactivate")
    assert client.post(url, json={"inputs": PROSTATE}).status_code == 409
    assert client.post(f"/api/mlops/projects/{NOWHERE}/predict", json={"inputs": PROSTATE}).status_code == 404


def test_canaries_take_their_share_and_a_routing_key_pins(
    client: httpx.Client, project_id: str, deploy: Deploy
) -> None:
    production, canary = deploy(stage="production"), deploy(traffic_percent=30)
    deploy()  # staging at 100: reached by its own id only
    url = f"/api/mlops/projects/{project_id}/predict"

    def answered(**options: Any) -> str:
        body = {"inputs": PROSTATE, "options": options}
        return str(client.post(url, json=body).raise_for_status().json()["deployment_id"])

    by_key = {key: answered(routing_key=key) for key in map(str, range(200))}
    assert set(by_key.values()) == {production["id"], canary["id"]}
    assert 30 < sum(each == canary["id"] for each in by_key.values()) < 90
    assert all(answered(routing_key=key) == by_key[key] for key in map(str, range(20)))
    drawn = [answered() for _ in range(60)]
    assert set(drawn) == {production["id"], canary["id"]}


def test_a_bad_request_to_a_project_is_charged_to_its_production(
    client: httpx.Client, project_id: str, database: Database, deploy: Deploy
) -> None:
    production = deploy(stage="production")
    assert client.post(f"/api/mlops/projects/{project_id}/predict", content=b"nonsense").status_code == 422
    assert [row["status_code"] for row in logged(database, production)] == [422]


def test_requests_that_arrive_together_do_not_mix(
    base_url: str, admin_key: str, database: Database, deploy: Deploy
) -> None:
    """Good rows, bad rows and batches in the same turn of the event loop: each gets its own answer and log rows."""
    made, regression = deploy(), deploy("gbm_regression")
    kinds: list[tuple[dict[str, Any], Any, int]] = [
        (made, PROSTATE, 200),
        (made, PROSTATE | {"AGE": "old"}, 422),
        (made, [PROSTATE, PROSTATE | {"AGE": 40}], 200),
        (made, [PROSTATE, {"other": 1}], 422),
        (regression, {"AGE": 65}, 200),
    ]
    with client_of(base_url, admin_key) as caller:
        alone = [ask(caller, target, inputs).json().get("predictions") for target, inputs, _ in kinds]

        def send(number: int) -> None:
            target, inputs, status = kinds[number % len(kinds)]
            answer = ask(caller, target, inputs)
            assert answer.status_code == status
            assert answer.json().get("predictions") == alone[number % len(kinds)]

        with ThreadPoolExecutor(20) as threads:
            list(threads.map(send, range(200)))
    statuses = Counter(row["status_code"] for row in logged(database, made))
    assert statuses == {200: 41 * 3, 422: 41 * 3}
    assert len(logged(database, regression)) == 41
