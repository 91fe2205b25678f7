"""Model import and models over HTTP, with real MOJOs."""

import json
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from sqlmodel import select

from api.settings import Settings
from monitoring.store.artifacts import ArtifactCorrupt, materialize
from monitoring.store.database import Database
from monitoring.store.tables import (
    Artifact,
    ArtifactChunk,
    Deployment,
    IdempotentAnswer,
    Model,
    ReferenceProfile,
)
from tests.h2o_models import TrainedModel, TrainedModels
from tests.integration.api.conftest import client_of


def send(
    client: httpx.Client,
    project_id: str,
    *,
    file: Path | bytes,
    reference: Path | bytes,
    headers: dict[str, str] | None = None,
    **texts: str,
) -> httpx.Response:
    """Import a model over HTTP."""
    contents = {
        name: (name, part.read_bytes() if isinstance(part, Path) else part)
        for name, part in (("file", file), ("reference", reference))
    }
    return client.post(f"/api/projects/{project_id}/models", files=contents, data=texts, headers=headers)


@pytest.fixture
def gbm(h2o_models: TrainedModels) -> TrainedModel:
    return h2o_models["gbm_binomial"]


@pytest.mark.parametrize("name", ["gbm_binomial", "gbm_multinomial", "glm_regression", "stackedensemble_binomial"])
def test_a_model_is_imported_and_described(
    client: httpx.Client, project_id: str, h2o_models: TrainedModels, name: str, settings: Settings
) -> None:
    trained = h2o_models[name]
    made = send(client, project_id, file=trained.mojo, reference=trained.reference)
    assert made.status_code == 201, made.text
    model = made.json()["model"]
    assert made.json()["model_id"] == model["id"]
    assert model["target"] == trained.target
    assert model["reference_rows"] > 100
    assert model["trained_at"].endswith("Z")
    assert "training" in model["metrics"]
    assert client.get(f"/api/models/{model['id']}").json() == model

    listed = client.get("/api/models", params={"project_id": project_id}).json()
    assert listed["total"] == 1
    expected = {key: value for key, value in model.items() if key not in ("features", "mojo_sha256")}
    assert listed["items"] == [expected]

    explained = client.get(f"/api/models/{model['id']}/explain").json()["variable_importances"]
    assert {item["feature"] for item in explained} <= {feature["name"] for feature in model["features"]}
    assert explained or name.startswith("stackedensemble")
    assert client.get(f"/api/models/{model['id']}/parameters").json()["parameters"]
    assert list((settings.home / "uploads").iterdir()) == []


def test_what_the_caller_says_wins(client: httpx.Client, project_id: str, gbm: TrainedModel) -> None:
    model = (
        send(
            client,
            project_id,
            file=gbm.mojo,
            reference=gbm.reference,
            name="Churn 7",
            target=gbm.target,
            trained_at="2024-02-29T12:00:00+02:00",
            metrics='{"auc": 0.5, "training": {"mine": 1}}',
        )
        .raise_for_status()
        .json()["model"]
    )
    assert model["name"] == "Churn 7"
    assert model["trained_at"] == "2024-02-29T10:00:00Z"
    assert model["metrics"]["auc"] == 0.5
    assert model["metrics"]["training"] == {"mine": 1}


def test_the_same_file_is_kept_once_and_goes_with_its_last_model(
    client: httpx.Client, project_id: str, gbm: TrainedModel, database: Database, tmp_path: Path
) -> None:
    ids = [send(client, project_id, file=gbm.mojo, reference=gbm.reference).json()["model_id"] for _ in range(2)]
    with database.transaction() as session:
        (artifact,) = session.exec(select(Artifact)).all()
        cached = materialize(session, artifact.sha256, tmp_path / "models")
        assert cached.read_bytes() == gbm.mojo.read_bytes()
    assert client.delete(f"/api/models/{ids[0]}").status_code == 204
    with database.transaction() as session:
        assert len(session.exec(select(Artifact)).all()) == 1
    assert client.delete(f"/api/models/{ids[1]}").status_code == 204
    assert client.get(f"/api/models/{ids[1]}").status_code == 404
    with database.transaction() as session:
        assert session.exec(select(Artifact)).all() == []
        assert session.exec(select(ArtifactChunk)).all() == []
        assert session.exec(select(ReferenceProfile)).all() == []


def test_a_deployed_model_stays(client: httpx.Client, project_id: str, gbm: TrainedModel, database: Database) -> None:
    model_id = send(client, project_id, file=gbm.mojo, reference=gbm.reference).json()["model_id"]
    with database.transaction() as session:
        deployment = Deployment(
            project_id=uuid.UUID(project_id),
            model_id=uuid.UUID(model_id),
            name="live",
            stage="production",
            status="active",
            config={},
        )
        session.add(deployment)
    refused = client.delete(f"/api/models/{model_id}")
    assert refused.status_code == 409
    assert str(deployment.id) in refused.json()["detail"]
    item = client.get("/api/models").json()["items"][0]
    assert (item["is_production"], item["is_staging"]) == (True, False)
    assert client.delete(f"/api/projects/{project_id}").status_code == 409
    assert client.delete(f"/api/projects/{project_id}", params={"force": "true"}).status_code == 204
    with database.transaction() as session:
        for table in (Model, Deployment, Artifact):
            assert session.exec(select(table)).all() == []


def test_a_repeat_gives_the_first_model_again(
    client: httpx.Client, project_id: str, gbm: TrainedModel, database: Database
) -> None:
    headers = {"Idempotency-Key": "import-1"}
    first = send(client, project_id, file=gbm.mojo, reference=gbm.reference, headers=headers)
    again = send(client, project_id, file=gbm.mojo, reference=gbm.reference, headers=headers)
    assert again.status_code == 201
    assert again.json() == first.json()
    other = send(client, project_id, file=gbm.mojo, reference=gbm.reference, headers=headers, name="other")
    assert other.status_code == 409
    with database.transaction() as session:
        assert len(session.exec(select(Model)).all()) == 1


def test_a_refused_import_gives_its_idempotency_key_back(
    client: httpx.Client, project_id: str, gbm: TrainedModel, database: Database
) -> None:
    headers = {"Idempotency-Key": "import-2"}
    assert send(client, project_id, file=b"bad", reference=gbm.reference, headers=headers).status_code == 422
    with database.transaction() as session:
        assert session.exec(select(IdempotentAnswer)).all() == []
    made = send(client, project_id, file=gbm.mojo, reference=gbm.reference, headers=headers)
    assert made.status_code == 201


def test_concurrent_imports_of_one_file_all_succeed(
    base_url: str, admin_key: str, project_id: str, gbm: TrainedModel, database: Database
) -> None:
    statuses: list[int] = []

    def run() -> None:
        with client_of(base_url, admin_key) as own:
            statuses.append(send(own, project_id, file=gbm.mojo, reference=gbm.reference).status_code)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [201] * 6
    with database.transaction() as session:
        assert len(session.exec(select(Artifact)).all()) == 1


def test_a_damaged_file_is_noticed(
    client: httpx.Client, project_id: str, gbm: TrainedModel, database: Database, tmp_path: Path
) -> None:
    send(client, project_id, file=gbm.mojo, reference=gbm.reference).raise_for_status()
    folder = tmp_path / "models"
    with database.transaction() as session:
        sha256 = session.exec(select(Artifact.sha256)).one()
        path = materialize(session, sha256, folder)
        path.write_bytes(b"damaged on disk")
        assert materialize(session, sha256, folder).read_bytes() == gbm.mojo.read_bytes()
        chunk = session.exec(select(ArtifactChunk)).one()
        chunk.data = chunk.data[:-1] + b"?"
        session.add(chunk)
        session.flush()
        path.unlink()
        with pytest.raises(ArtifactCorrupt):
            materialize(session, sha256, folder)
        assert list(folder.iterdir()) == []


def test_a_foreign_model_is_not_there(
    client: httpx.Client, base_url: str, project_id: str, gbm: TrainedModel, make_key: Callable[..., str]
) -> None:
    model_id = send(client, project_id, file=gbm.mojo, reference=gbm.reference).json()["model_id"]
    other = client.post("/api/projects", json={"name": "Other"}).json()["project_id"]
    stranger = client_of(base_url, make_key("admin", project=other))
    assert stranger.get("/api/models").json()["items"] == []
    assert stranger.get("/api/models", params={"project_id": project_id}).status_code == 404
    for path in ("", "/explain", "/parameters"):
        assert stranger.get(f"/api/models/{model_id}{path}").status_code == 404
    assert stranger.delete(f"/api/models/{model_id}").status_code == 404
    assert send(stranger, project_id, file=gbm.mojo, reference=gbm.reference).status_code == 404


def test_models_are_found_by_name_and_algorithm(client: httpx.Client, project_id: str, gbm: TrainedModel) -> None:
    for name in ("alpha", "beta"):
        send(client, project_id, file=gbm.mojo, reference=gbm.reference, name=name).raise_for_status()
    names = [item["name"] for item in client.get("/api/models").json()["items"]]
    assert names == ["beta", "alpha"]
    assert client.get("/api/models", params={"search": "ALPHA"}).json()["total"] == 1
    assert client.get("/api/models", params={"search": "gbm"}).json()["total"] == 2
    assert client.get("/api/models", params={"experiment_id": str(uuid.uuid4())}).json()["total"] == 0


def test_profile_and_sample_are_stored(
    client: httpx.Client, project_id: str, gbm: TrainedModel, database: Database
) -> None:
    model = send(client, project_id, file=gbm.mojo, reference=gbm.reference).json()["model"]
    with database.transaction() as session:
        stored = session.exec(select(ReferenceProfile)).one()
    assert [feature["name"] for feature in stored.profile["features"]] == [f["name"] for f in model["features"]]
    assert stored.profile["rows"] == model["reference_rows"]
    assert stored.sample.startswith(b"PAR1")
    assert json.dumps(stored.profile)
