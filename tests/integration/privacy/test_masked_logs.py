"""Predictions of deployments that mask: what stands in the log, in answers and in error messages."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.privacy.masker import Masker
from monitoring.store.database import Database
from monitoring.store.keys import create_key
from monitoring.store.privacy_facts import DEFAULT_VERSION_ID
from tests.h2o_models import TrainedModels
from tests.integration.api.conftest import Installation, client_of
from tests.integration.api.serving import served
from tests.integration.privacy.conftest import AddRule, MakePolicy, look
from tests.integration.privacy.masked_serving import (
    CARD,
    EMAIL,
    NAME,
    PROSTATE,
    ask,
    deploy,
    failures,
    import_model,
    logged,
    whole_log,
)


@pytest.fixture(scope="module")
def project_id(installation: Installation) -> str:
    """One project for all tests here: importing a model takes its time."""
    with client_of(installation.base_url, installation.admin_key) as client:
        return str(client.post("/api/projects", json={"name": "Clinic"}).raise_for_status().json()["project_id"])


@pytest.fixture(scope="module")
def model_id(installation: Installation, project_id: str, h2o_models: TrainedModels) -> str:
    with client_of(installation.base_url, installation.admin_key) as client:
        return import_model(client, project_id, h2o_models["gbm_binomial"])


@pytest.fixture
def masking(client: httpx.Client, project_id: str, model_id: str) -> str:
    """A deployment that masks by the catalogue's defaults, with RACE mapped to a person's name."""
    return deploy(client, project_id, model_id, privacy_column_map={"RACE": "person_name"})


def test_rows_are_stored_masked_with_version_and_bins(client: httpx.Client, database: Database, masking: str) -> None:
    plain = dict(PROSTATE, AGE=None)
    answer = ask(client, masking, [PROSTATE, plain, dict(PROSTATE, RACE=NAME)]).raise_for_status().json()
    assert len(answer["predictions"]) == 3
    rows = logged(database, masking)
    assert {row["privacy_version_id"] for row in rows} == {DEFAULT_VERSION_ID}
    assert {row["privacy_error"] for row in rows} == {None}
    first, second, third = (row["inputs"] for row in rows)
    assert first["AGE"] == "60-69"
    assert first["RACE"].startswith("person_")
    assert {name: first[name] for name in ("DPROS", "PSA", "GLEASON")} == {"DPROS": "2", "PSA": 1.4, "GLEASON": 6}
    assert second["AGE"] is None
    assert second["RACE"] == first["RACE"] != third["RACE"]
    bins = [row["bins"] for row in rows]
    assert [each["RACE"] for each in bins] == ["known", "known", "unseen"]
    assert isinstance(bins[0]["AGE"], int)
    assert "AGE" not in bins[1]
    assert NAME not in whole_log(database, masking)


def test_a_deployment_without_privacy_logs_as_ever(
    client: httpx.Client, database: Database, project_id: str, model_id: str
) -> None:
    deployment = deploy(client, project_id, model_id)
    ask(client, deployment, PROSTATE).raise_for_status()
    [row] = logged(database, deployment)
    assert row["inputs"] == PROSTATE
    assert (row["privacy_version_id"], row["privacy_error"], row["bins"]) == (None, None, None)


def test_the_listing_shows_masked_inputs_and_what_masked_them(client: httpx.Client, masking: str) -> None:
    ask(client, masking, PROSTATE).raise_for_status()
    [item] = client.get(f"/api/mlops/deployments/{masking}/inference-logs").raise_for_status().json()["items"]
    assert item["inputs"]["AGE"] == "60-69"
    assert item["privacy"] == {"version_id": str(DEFAULT_VERSION_ID), "error": None}


def test_echoes_in_answers_are_masked(client: httpx.Client, project_id: str, model_id: str, masking: str) -> None:
    [warning] = ask(client, masking, dict(PROSTATE, DPROS=EMAIL)).raise_for_status().json()["warnings"]
    assert (warning["feature"], warning["unseen"]) == ("DPROS", 1)
    assert EMAIL not in warning["examples"][0]
    cut = ask(client, masking, dict(PROSTATE, DPROS="x" * 90 + EMAIL)).raise_for_status()
    assert cut.json()["warnings"][0]["examples"] == ["[REDACTED]"]
    logs_only = deploy(client, project_id, model_id, privacy_anonymize_logs=True, privacy_anonymize_response=False)
    assert EMAIL in ask(client, logs_only, dict(PROSTATE, DPROS=EMAIL)).text


REFUSED: list[tuple[Any, str]] = [
    (PROSTATE | {"AGE": EMAIL}, EMAIL),
    (PROSTATE | {"AGE": f"call {EMAIL} or 4111 1111 1111 1111"}, "4111"),
    (PROSTATE | {EMAIL: 1}, EMAIL),
    (PROSTATE | {"x" * 195 + EMAIL: 1}, "xxx"),
    (PROSTATE | {"other": EMAIL}, EMAIL),
    (PROSTATE | {"other": {"nested": [EMAIL, {"card": CARD}]}}, EMAIL),
    (PROSTATE | {"RACE": {"full": NAME}}, NAME),
    (PROSTATE | {"RACE": [NAME]}, NAME),
    (PROSTATE | {"AGE": True, "VOL": f"no. {CARD}"}, str(CARD)),
]


@pytest.mark.parametrize(("inputs", "raw"), REFUSED)
def test_refused_rows_leave_nothing_raw(
    client: httpx.Client, database: Database, masking: str, inputs: Any, raw: str
) -> None:
    refused = ask(client, masking, [PROSTATE, inputs])
    assert refused.status_code == 422
    assert raw not in refused.text
    rows = logged(database, masking)
    assert [row["status_code"] for row in rows] == [422, 422]
    assert rows[1]["inputs"] is not None
    assert rows[1]["error"]
    assert rows[1]["bins"] is None
    assert raw not in whole_log(database, masking)


def test_a_refusal_names_row_and_field_without_the_value(client: httpx.Client, masking: str) -> None:
    error = ask(client, masking, [PROSTATE, PROSTATE | {"AGE": EMAIL}]).json()["errors"][0]
    assert error == {"field": "inputs[1].AGE", "message": "must be a number, not text"}


@pytest.mark.parametrize(
    "body",
    [
        f'{{"inputs": {{"AGE": 1}}, "{EMAIL}": 1}}',
        f'{{"inputs": {{"AGE": 1}}, "options": {{"{EMAIL}": 1}}}}',
        f'{{"inputs": {{"AGE": 1e999, "RACE": "{EMAIL}"}}}}',
        f'{{"inputs": {{"AGE": 1}}, "options": {{"privacy_policy_id": "{EMAIL}"}}}}',
        f'{{"inputs": "{EMAIL}"}}',
    ],
)
def test_bodies_that_cannot_be_read_are_not_quoted(
    client: httpx.Client, database: Database, masking: str, body: str
) -> None:
    path = f"/api/mlops/deployments/{masking}/predict"
    refused = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 422
    assert EMAIL not in refused.text
    assert EMAIL not in whole_log(database, masking)
    strange = client.post(path, content=body, headers={"Content-Type": f"text/{EMAIL}"})
    assert (strange.status_code, EMAIL in strange.text) == (415, False)
    assert EMAIL not in whole_log(database, masking)


def test_payloads_that_are_not_stored_are_not_stored_masked_either(
    client: httpx.Client, database: Database, masking: str
) -> None:
    ask(client, masking, PROSTATE, store_payload=False).raise_for_status()
    [row] = logged(database, masking)
    assert (row["inputs"], row["bins"], row["privacy_version_id"]) == (None, None, DEFAULT_VERSION_ID)


def test_large_requests_are_masked_too(client: httpx.Client, database: Database, masking: str) -> None:
    batch = [PROSTATE | {"RACE": f"{NAME} {place}"} for place in range(1_500)]
    assert len(ask(client, masking, batch).raise_for_status().json()["predictions"]) == 1_500
    assert ask(client, masking, [*batch, {"AGE": EMAIL}]).status_code == 422
    rows = logged(database, masking)
    assert len(rows) == 3_001
    assert len({row["inputs"]["RACE"] for row in rows[:1_500]}) == 1_500
    log = whole_log(database, masking)
    assert NAME not in log
    assert EMAIL not in log


def test_a_policys_version_is_the_one_logged_and_a_change_counts_at_once(
    *,
    client: httpx.Client,
    database: Database,
    project_id: str,
    model_id: str,
    make_policy: MakePolicy,
    add_rule: AddRule,
) -> None:
    policy = make_policy(profile="custom")
    rule = add_rule(policy, "age", "redact")
    deployment = deploy(client, project_id, model_id, privacy_policy_id=policy["id"])
    ask(client, deployment, PROSTATE).raise_for_status()
    changed = {"pii_type": "age", "action": "replace", "config": {"value": "an age"}, "is_enabled": True}
    client.put(f"/api/privacy/policies/{policy['id']}/rules/{rule['id']}", json=changed).raise_for_status()
    ask(client, deployment, PROSTATE).raise_for_status()
    first, second = logged(database, deployment)
    assert (first["inputs"]["AGE"], second["inputs"]["AGE"]) == ("[AGE]", "an age")
    assert first["inputs"]["RACE"] == "1"
    assert first["privacy_version_id"] != second["privacy_version_id"]
    assert look(client, policy)["version"] == 3


def break_masking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have masking fail on every value; that it fails is what is tested, not how."""

    def fail(_: Masker, *values: object) -> None:
        raise RuntimeError(f"cannot mask {values}")

    for name in ("mask_record", "mask_value", "mask_text"):
        monkeypatch.setattr(Masker, name, fail)


def test_when_masking_fails_the_answer_is_given_and_nothing_of_the_inputs_kept(
    client: httpx.Client,
    database: Database,
    masking: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = failures(client)
    break_masking(monkeypatch)
    answer = ask(client, masking, PROSTATE | {"RACE": EMAIL}).raise_for_status().json()
    assert answer["predictions"][0]["prediction"]
    assert answer["warnings"] == [{"feature": "RACE", "unseen": 1, "examples": []}]
    refused = ask(client, masking, PROSTATE | {EMAIL: CARD})
    assert refused.status_code == 422
    assert EMAIL not in refused.text
    unread = client.post(f"/api/mlops/deployments/{masking}/predict", json={"inputs": PROSTATE, EMAIL: 1})
    assert (unread.status_code, EMAIL in unread.text) == (422, False)
    rows = logged(database, masking)
    assert [row["inputs"] for row in rows] == [None, None, None]
    assert rows[0]["privacy_error"] == "The inputs could not be masked, so they are not kept (RuntimeError)"
    assert failures(client) >= before + 3
    assert EMAIL not in whole_log(database, masking) + caplog.text


def test_without_a_key_a_deployment_answers_and_keeps_no_inputs(
    client: httpx.Client,
    database: Database,
    installation: Installation,
    project_id: str,
    model_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = installation.app.state.serving
    monkeypatch.setattr(serving.privacy, "_key_of", lambda *_: 1 / 0)
    deployment = deploy(client, project_id, model_id, privacy_anonymize_logs=True)
    assert ask(client, deployment, PROSTATE).status_code == 200
    monkeypatch.undo()
    assert ask(client, deployment, PROSTATE).status_code == 200
    first, second = logged(database, deployment)
    assert (first["inputs"], second["inputs"]["AGE"]) == (None, "60-69")
    assert "ZeroDivisionError" in first["privacy_error"]


@pytest.mark.parametrize("response", [True, False])
def test_an_unexpected_error_is_logged_without_its_text(
    *,
    client: httpx.Client,
    database: Database,
    project_id: str,
    model_id: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    response: bool,
) -> None:
    masking = deploy(client, project_id, model_id, privacy_anonymize_logs=True, privacy_anonymize_response=response)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"what {EMAIL} sent")

    monkeypatch.setattr("api.prediction_call.predict", fail)
    monkeypatch.setattr("api.gathering.predict_together", fail)
    failed = ask(client, masking, PROSTATE | {"RACE": EMAIL})
    assert failed.status_code == 500
    assert EMAIL not in failed.text + caplog.text + whole_log(database, masking)
    assert "RuntimeError" in caplog.text


@pytest.fixture
def caller(installation: Installation, project_id: str) -> Iterator[httpx.Client]:
    """A client that may predict in the project, and nothing else."""
    with installation.database.transaction() as session:
        key = create_key(session, name="caller", scopes=["predict"], project_id=uuid.UUID(project_id))[1]
    with client_of(installation.base_url, key) as opened:
        yield opened


def test_a_key_without_admin_may_strengthen_and_not_weaken(
    *,
    caller: httpx.Client,
    client: httpx.Client,
    database: Database,
    project_id: str,
    model_id: str,
    masking: str,
) -> None:
    plain = deploy(client, project_id, model_id)
    for option in ("anonymize_logs", "anonymize_response"):
        weaker = ask(caller, masking, PROSTATE | {"RACE": NAME}, **{option: False})
        assert weaker.status_code == 403
        assert "admin" in weaker.json()["detail"]
    ask(caller, plain, PROSTATE, anonymize_logs=True).raise_for_status()
    ask(caller, masking, PROSTATE, anonymize_logs=True, anonymize_response=True).raise_for_status()
    rows = logged(database, masking)
    assert [(row["status_code"], row["inputs"] is None) for row in rows] == [(403, True), (403, True), (200, False)]
    [row] = logged(database, plain)
    assert (row["inputs"]["AGE"], row["privacy_version_id"]) == ("60-69", DEFAULT_VERSION_ID)
    ask(client, masking, PROSTATE | {"RACE": NAME}, anonymize_logs=False, anonymize_response=False).raise_for_status()
    last = logged(database, masking)[-1]
    assert (last["inputs"]["RACE"], last["privacy_version_id"]) == (NAME, None)


def test_another_policy_must_be_as_strict(
    *,
    caller: httpx.Client,
    client: httpx.Client,
    database: Database,
    project_id: str,
    model_id: str,
    make_policy: MakePolicy,
    add_rule: AddRule,
) -> None:
    own, stricter, other, draft = (
        make_policy(profile="custom", name=name, status=status)
        for name, status in (("own", "active"), ("stricter", "active"), ("other", "active"), ("draft", "draft"))
    )
    add_rule(own, "age", "redact")
    add_rule(stricter, "age", "drop")
    add_rule(other, "ethnicity", "drop")
    deployment = deploy(client, project_id, model_id, privacy_policy_id=own["id"])
    elsewhere = client.post("/api/projects", json={"name": "Elsewhere"}).json()["project_id"]
    foreign = make_policy(project_id=elsewhere)

    def status(policy_id: str) -> int:
        return ask(caller, deployment, PROSTATE, privacy_policy_id=policy_id).status_code

    assert [status(policy["id"]) for policy in (own, stricter, other, draft)] == [200, 200, 403, 409]
    assert [status(foreign["id"]), status(str(uuid.uuid4())), status("mine")] == [422, 422, 422]
    assert ask(client, deployment, PROSTATE, privacy_policy_id=other["id"]).status_code == 200
    rows = logged(database, deployment)
    assert rows[0]["inputs"]["AGE"] == "[AGE]"
    assert "AGE" not in rows[1]["inputs"]
    assert [row["inputs"] for row in rows[2:7]] == [None] * 5
    assert (rows[7]["inputs"]["AGE"], "RACE" in rows[7]["inputs"]) == (65, False)
    assert rows[1]["bins"].keys() == {"AGE"}


def test_a_models_own_predictions_know_no_privacy(client: httpx.Client, model_id: str) -> None:
    body = {"inputs": PROSTATE, "options": {"anonymize_logs": True}}
    refused = client.post(f"/api/models/{model_id}/predict", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "options.anonymize_logs")


def test_a_projects_predictions_are_masked_by_what_answers_them(
    client: httpx.Client, database: Database, project_id: str, model_id: str
) -> None:
    deployment = deploy(client, project_id, model_id, stage="production", privacy_anonymize_logs=True)
    path = f"/api/mlops/projects/{project_id}/predict"
    client.post(path, json={"inputs": PROSTATE}).raise_for_status()
    assert client.post(path, json={"inputs": PROSTATE | {"AGE": EMAIL}}).status_code == 422
    assert logged(database, deployment)[0]["inputs"]["AGE"] == "60-69"
    assert EMAIL not in whole_log(database, deployment)


def test_another_process_gives_the_same_tokens_and_hears_of_changes(
    *,
    client: httpx.Client,
    database: Database,
    installation: Installation,
    project_id: str,
    model_id: str,
    make_policy: MakePolicy,
    add_rule: AddRule,
) -> None:
    policy = make_policy(profile="custom")
    add_rule(policy, "ethnicity", "pseudonymize")
    deployment = deploy(client, project_id, model_id, privacy_policy_id=policy["id"])
    second = create_app(installation.app.state.settings)
    with served(second) as url, client_of(url, installation.admin_key) as other:
        for each in (client, other):
            ask(each, deployment, PROSTATE).raise_for_status()
        first, same = (row["inputs"]["RACE"] for row in logged(database, deployment))
        assert first == same != "1"
        add_rule(policy, "age", "redact")
        patience = time.monotonic() + 10
        while logged(database, deployment)[-1]["inputs"]["AGE"] != "[AGE]":
            assert time.monotonic() < patience
            ask(other, deployment, PROSTATE).raise_for_status()
