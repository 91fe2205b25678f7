"""Fixtures of the serving tests: models stored straight into the database, deployments made over HTTP."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.scoring.archive import check_archive
from monitoring.store.artifacts import store_artifact
from monitoring.store.database import Database
from monitoring.store.tables import Model
from tests.h2o_models import TrainedModel, TrainedModels
from tests.integration.api.conftest import (  # noqa: F401 - fixtures
    admin_key,
    app,
    base_url,
    client,
    make_key,
    module_database_url,
    project_id,
    settings,
)

AddModel = Callable[..., str]
Deploy = Callable[..., dict[str, Any]]


def store_model(database: Database, trained: TrainedModel, project: str) -> str:
    """Store a trained model as an import would, without its profile; return its id."""
    info = check_archive(trained.mojo)
    with database.transaction() as session:
        model = Model(
            project_id=uuid.UUID(project),
            name=trained.name,
            algo=info.algo,
            category=info.category,
            target=trained.target,
            features=[{"name": name} for name in info.features],
            mojo_sha256=store_artifact(session, trained.mojo),
            reference_rows=100,
        )
        session.add(model)
        return str(model.id)


@pytest.fixture
def add_model(database: Database, h2o_models: TrainedModels, project_id: str) -> AddModel:  # noqa: F811
    """Return a function that stores a trained model by name in the test's project, or in another."""

    def add(name: str = "gbm_binomial", project: str | None = None) -> str:
        return store_model(database, h2o_models[name], project or project_id)

    return add


@pytest.fixture
def deploy(client: httpx.Client, project_id: str, add_model: AddModel) -> Deploy:  # noqa: F811
    """Return a function that deploys a trained model by name, or a stored one by id, and returns the answer."""

    def make(name: str = "gbm_binomial", stage: str = "staging", model_id: str | None = None, **body: Any) -> Any:
        body = {"name": "scorer", "stage": stage, "model_id": model_id or add_model(name)} | body
        made = client.post(f"/api/mlops/projects/{project_id}/deployments", json=body)
        assert made.status_code == 201, made.text
        return made.json()

    return make
