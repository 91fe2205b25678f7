"""Predictions by a model that is not deployed."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.h2o_models import TrainedModels
from tests.integration.api.conftest import Installation, client_of, installed
from tests.integration.api.test_models import send

NAMES = ["gbm_binomial", "gbm_multinomial", "glm_regression", "stackedensemble_binomial"]


@pytest.fixture(scope="module")
def installation(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(module_database_url, tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture(scope="module")
def client(installation: Installation) -> Iterator[httpx.Client]:
    with client_of(installation.base_url, installation.admin_key) as opened:
        yield opened


@pytest.fixture(scope="module")
def predict(client: httpx.Client, h2o_models: TrainedModels) -> Callable[..., httpx.Response]:
    """Return a function that posts a body to a model's predict route."""
    project_id = client.post("/api/projects", json={"name": "x"}).json()["project_id"]
    paths = {}
    for name in NAMES:
        trained = h2o_models[name]
        made = send(client, project_id, file=trained.mojo, reference=trained.reference).raise_for_status()
        paths[name] = f"/api/models/{made.json()['model_id']}/predict"

    def post(name: str, body: object) -> httpx.Response:
        return client.post(paths[name], json=body)

    return post


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_h2os_own(predict: Callable[..., httpx.Response], h2o_models: TrainedModels, name: str) -> None:
    trained = h2o_models[name]
    answer = predict(name, {"inputs": trained.rows, "options": {}})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["predictions"]) == len(trained.predictions)
    for made, expected in zip(answer.json()["predictions"], trained.predictions, strict=True):
        if "probabilities" in expected:
            assert made["prediction"] == expected["prediction"]
            assert made["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-6)
            assert made["probability"] == made["probabilities"][made["prediction"]]
        else:
            assert made == {"prediction": pytest.approx(expected["prediction"], abs=1e-6)}


def test_one_row_may_come_alone(predict: Callable[..., httpx.Response], h2o_models: TrainedModels) -> None:
    row = h2o_models["gbm_binomial"].rows[0]
    alone, listed = (predict("gbm_binomial", {"inputs": inputs}).json() for inputs in (row, [row]))
    assert alone["predictions"] == listed["predictions"]
    assert alone["latency_ms"] > 0


def test_contributions_come_where_the_model_has_them(
    predict: Callable[..., httpx.Response], h2o_models: TrainedModels
) -> None:
    row = h2o_models["gbm_binomial"].rows[0]
    explained = predict("gbm_binomial", {"inputs": row, "options": {"include_contributions": True}})
    assert explained.json()["contributions"][0][-1]["feature"] == "BiasTerm"
    row = h2o_models["stackedensemble_binomial"].rows[0]
    refused = predict("stackedensemble_binomial", {"inputs": row, "options": {"include_contributions": True}})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "options.include_contributions"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "inputs"),
        ({"inputs": []}, "inputs"),
        ({"inputs": [{}] * 10_001}, "inputs"),
        ({"inputs": [{}, {"nothing like it": 1}]}, "inputs[1].nothing like it"),
        ({"inputs": {"AGE": "old"}}, "inputs.AGE"),
        ({"inputs": {"AGE": [1]}}, "inputs.AGE"),
        ({"inputs": {}, "more": 1}, "more"),
    ],
)
def test_what_cannot_be_read_is_named(predict: Callable[..., httpx.Response], body: object, field: str) -> None:
    refused = predict("gbm_binomial", body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field


@pytest.mark.usefixtures("predict")
def test_the_media_type_is_json(client: httpx.Client) -> None:
    model_id = client.get("/api/models").json()["items"][0]["id"]
    path = f"/api/models/{model_id}/predict"
    assert client.post(path, content=b'{"inputs": {}}', headers={"Content-Type": "text/plain"}).status_code == 415
    assert client.post(path, content=b"").status_code == 422
