"""Feedback, performance and metrics over HTTP, of real models that answered real requests."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from monitoring.store.keys import create_key
from tests.h2o_models import TrainedModel, TrainedModels
from tests.integration.api.conftest import Installation, client_of, installed
from tests.integration.api.test_models import send as import_model


@dataclass(frozen=True)
class Imported:
    """A project with two models imported with their references, once for all tests here."""

    installation: Installation
    project_id: str
    model_ids: dict[str, str]


@pytest.fixture(scope="module")
def imported(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory, h2o_models: TrainedModels
) -> Iterator[Imported]:
    with (
        installed(module_database_url, tmp_path_factory.mktemp("home")) as installation,
        client_of(installation.base_url, installation.admin_key) as client,
    ):
        project_id = client.post("/api/projects", json={"name": "Fraud"}).json()["project_id"]
        model_ids = {}
        for name in ("gbm_binomial", "gbm_regression"):
            trained = h2o_models[name]
            sent = import_model(client, project_id, file=trained.mojo, reference=trained.reference)
            model_ids[name] = sent.raise_for_status().json()["model_id"]
        yield Imported(installation, project_id, model_ids)


@pytest.fixture
def client(imported: Imported) -> Iterator[httpx.Client]:
    """A client that calls as admin."""
    with client_of(imported.installation.base_url, imported.installation.admin_key) as opened:
        yield opened


@pytest.fixture
def trained(h2o_models: TrainedModels) -> TrainedModel:
    return h2o_models["gbm_binomial"]


@pytest.fixture
def path(client: httpx.Client, imported: Imported) -> str:
    """The path of this test's own deployment of the binomial model."""
    return deployed(client, imported, "gbm_binomial")


def deployed(client: httpx.Client, imported: Imported, model: str) -> str:
    body = {"model_id": imported.model_ids[model], "name": "d", "stage": "staging"}
    made = client.post(f"/api/mlops/projects/{imported.project_id}/deployments", json=body).raise_for_status()
    return f"/api/mlops/deployments/{made.json()['id']}"


def predict(client: httpx.Client, path: str, trained: TrainedModel, rows: int = 4) -> tuple[list[str], list[Any]]:
    answer = client.post(f"{path}/predict", json={"inputs": trained.rows[:rows]}).raise_for_status().json()
    return answer["inference_ids"], [item["prediction"] for item in answer["predictions"]]


def items(actuals: dict[str, Any]) -> dict[str, Any]:
    return {"items": [{"inference_id": one, "actual": actual} for one, actual in actuals.items()]}


def other_of(label: str, trained: TrainedModel, client: httpx.Client, path: str) -> str:
    """Return the model's other label; asking predicts once more."""
    labels = client.post(f"{path}/predict", json={"inputs": trained.rows[0]}).json()["predictions"][0]["probabilities"]
    return next(name for name in labels if name != label)


def test_labels_come_in_and_accuracy_goes_out(client: httpx.Client, path: str, trained: TrainedModel) -> None:
    ids, said = predict(client, path, trained)
    wrong = other_of(said[1], trained, client, path)
    stranger = str(uuid.uuid4())

    answer = client.post(f"{path}/feedback", json=items({ids[1]: wrong, stranger: wrong, ids[0]: f" {said[0]} "}))

    assert (answer.status_code, answer.json()) == (200, {"accepted": 2, "unknown": [stranger]})
    performance = client.get(f"{path}/performance").raise_for_status().json()
    assert (performance["metric"], performance["labels"], performance["accuracy"]) == ("accuracy", 2, 0.5)
    assert performance["rmse"] is None
    assert performance["baseline"] > 0.5
    assert performance["degradation"] == pytest.approx(performance["baseline"] - 0.5)
    assert performance["window_minutes"] == 1440
    cells = {(cell["actual"], cell["predicted"]): cell["predictions"] for cell in performance["confusion"]}
    assert cells == {(wrong, said[1]): 1, (said[0], said[0]): 1}


def test_a_replaced_label_is_audited_and_a_repeat_is_not(
    client: httpx.Client, path: str, trained: TrainedModel, imported: Imported
) -> None:
    ids, said = predict(client, path, trained)
    wrong = other_of(said[0], trained, client, path)
    for actual in (said[0], said[0], wrong, wrong):
        client.post(f"{path}/feedback", json=items({ids[0]: actual})).raise_for_status()

    events = client.get(f"/api/projects/{imported.project_id}/timeline").json()["events"]

    replaced = [one for one in events if one["action"] == "feedback.replaced" and one["subject_id"] in path]
    assert [(one["before"], one["after"]) for one in replaced] == [({ids[0]: said[0]}, {ids[0]: wrong})]
    assert client.get(f"{path}/performance").json()["labels"] == 1


def test_a_wrong_item_refuses_the_call_and_is_named(client: httpx.Client, path: str, trained: TrainedModel) -> None:
    ids, said = predict(client, path, trained)

    refused = client.post(f"{path}/feedback", json=items({ids[0]: said[0], ids[1]: "perhaps", ids[2]: 17}))

    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["items[1].actual", "items[2].actual"]
    assert "none of the model's labels" in refused.json()["errors"][0]["message"]
    assert "perhaps" not in refused.text, "What a person really had is not repeated"
    assert client.get(f"{path}/performance").json()["labels"] == 0


def test_malformed_bodies_are_422_and_named(client: httpx.Client, path: str) -> None:
    right = {"inference_id": str(uuid.uuid4()), "actual": "a"}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "items"),
        ({"items": []}, "items"),
        ({"items": [right | {"inference_id": "x"}]}, "items[0].inference_id"),
        ({"items": [right, {"inference_id": str(uuid.uuid4())}]}, "items[1].actual"),
        ({"items": [right | {"actual": None}]}, "items[0].actual"),
        ({"items": [right | {"score": 1}]}, "items[0].score"),
        ({"items": [right | {"observed_at": "2026-01-01T00:00:00"}]}, "items[0].observed_at"),
        ({"items": [right] * 10_001}, "items"),
    ]
    for body, field in wrong:
        refused = client.post(f"{path}/feedback", json=body)
        assert refused.status_code == 422, body
        assert [error["field"] for error in refused.json()["errors"]] == [field]


def test_a_regression_takes_numbers(client: httpx.Client, imported: Imported, h2o_models: TrainedModels) -> None:
    path = deployed(client, imported, "gbm_regression")
    ids, said = predict(client, path, h2o_models["gbm_regression"], rows=2)

    text = client.post(f"{path}/feedback", json=items({ids[0]: "12"}))
    client.post(f"{path}/feedback", json=items({ids[0]: said[0] + 3, ids[1]: said[1] - 4})).raise_for_status()

    assert text.status_code == 422
    performance = client.get(f"{path}/performance?window_minutes=5").raise_for_status().json()
    assert (performance["metric"], performance["labels"], performance["confusion"]) == ("rmse", 2, None)
    assert performance["rmse"] == pytest.approx(12.5**0.5)
    metrics = client.get(f"{path}/metrics").raise_for_status().json()["metrics"]
    assert metrics["accuracy_degradation"]["value"] == pytest.approx(performance["degradation"])


def test_all_six_metrics_now(client: httpx.Client, path: str, trained: TrainedModel) -> None:
    predict(client, path, trained, rows=4)
    client.post(f"{path}/predict", json={"inputs": {"no such feature": 1}})

    answer = client.get(f"{path}/metrics?window_minutes=15").raise_for_status().json()

    assert (answer["window_minutes"], len(answer["metrics"])) == (15, 6)
    assert answer["metrics"]["error_rate"]["value"] == 50.0
    assert answer["metrics"]["error_rate"]["unit"] == "%"
    assert answer["metrics"]["latency_p99"]["samples"] == 2
    assert answer["metrics"]["drift_psi"]["samples"] == 4
    assert answer["metrics"]["drift_psi"]["value"] == max(answer["features"].values())
    assert answer["metrics"]["accuracy_degradation"] == {
        "value": None,
        "samples": 0,
        "unit": "",
        "detail": "no prediction of the window has a label yet",
    }
    for minutes in (0, 44_641):
        assert client.get(f"{path}/metrics?window_minutes={minutes}").status_code == 422


def test_reading_keys_send_no_feedback(imported: Imported, path: str) -> None:
    with imported.installation.database.transaction() as session:
        key = create_key(session, name="reader", scopes=["read", "predict"])[1]
    with client_of(imported.installation.base_url, key) as reader:
        assert reader.post(f"{path}/feedback", json=items({str(uuid.uuid4()): "a"})).status_code == 403
        assert reader.get(f"{path}/performance").status_code == 200
