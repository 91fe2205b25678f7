"""Deployments whose stored model is damaged: each test harms an installation of its own."""

import uuid

import httpx
from sqlalchemy import text

from api.settings import Settings
from monitoring.store.database import Database
from tests.integration.serving.conftest import AddModel, Deploy
from tests.integration.serving.test_deployments import act, look, promote
from tests.integration.serving.test_predictions import PROSTATE, ask


def break_model(database: Database, model_id: str) -> None:
    """Damage the stored file of a model."""
    with database.transaction() as session:
        of_model = "sha256 = (SELECT mojo_sha256 FROM model WHERE id = :id)"
        session.execute(
            text(f"UPDATE artifact_chunk SET data = 'broken' WHERE {of_model}"), {"id": uuid.UUID(model_id)}
        )


def test_a_model_that_does_not_load_makes_a_failed_deployment_and_leaves_production_alone(
    client: httpx.Client, database: Database, add_model: AddModel, deploy: Deploy
) -> None:
    present = deploy(stage="production")
    model_id = add_model("gbm_regression")
    break_model(database, model_id)
    failed = deploy(stage="production", model_id=model_id)
    assert (failed["status"], failed["is_active"], failed["stage"]) == ("failed", False, "production")
    assert "damaged" in failed["status_reason"]
    assert look(client, present)["status"] == "active"
    assert look(client, failed)["status_reason"] == failed["status_reason"]
    assert promote(client, failed).status_code == 409
    assert act(client, present, "rollback", to_deployment_id=failed["id"]).status_code == 409


def test_an_archived_deployment_whose_model_stopped_loading_does_not_come_back(
    client: httpx.Client, database: Database, add_model: AddModel, deploy: Deploy, settings: Settings
) -> None:
    present, model_id = deploy(stage="production"), add_model("gbm_regression")
    made = deploy(model_id=model_id)
    act(client, made, "deactivate")  # so that no process holds the model any more
    break_model(database, model_id)
    for file in (settings.home / "models").glob("*.zip"):
        file.write_bytes(b"broken")
    refused = act(client, present, "rollback", to_deployment_id=made["id"])
    assert refused.status_code == 409
    assert "does not load" in refused.json()["detail"]
    assert look(client, present)["stage"] == "production"


def test_rollback_onto_a_model_that_does_not_load_leaves_production_alone(
    client: httpx.Client, database: Database, project_id: str, add_model: AddModel, deploy: Deploy
) -> None:
    present, model_id = deploy(stage="production"), add_model("gbm_regression")
    break_model(database, model_id)
    assert act(client, present, "rollback", to_model_id=model_id).status_code == 409
    assert look(client, present)["stage"] == "production"
    assert client.get(f"/api/mlops/projects/{project_id}/deployments").json()["total"] == 1


def test_a_failed_deployment_does_not_predict(
    client: httpx.Client, database: Database, add_model: AddModel, deploy: Deploy
) -> None:
    model_id = add_model()
    break_model(database, model_id)
    assert ask(client, deploy(model_id=model_id), PROSTATE).status_code == 409


def test_an_active_deployment_whose_model_is_gone_is_unavailable(
    client: httpx.Client, database: Database, add_model: AddModel, deploy: Deploy
) -> None:
    """As after a restart on a machine without the file, with the database's copy damaged."""
    made, model_id = deploy(), add_model("gbm_regression")
    break_model(database, model_id)
    with database.transaction() as session:
        session.execute(
            text("UPDATE deployment SET model_id = :model, updated_at = now() WHERE id = :id"),
            {"model": uuid.UUID(model_id), "id": uuid.UUID(made["id"])},
        )
        session.execute(text("SELECT pg_notify('pilothouse', :payload)"), {"payload": f"deployment:{made['id']}"})
    refused = ask(client, made, PROSTATE)
    while refused.status_code == 200:
        refused = ask(client, made, PROSTATE)
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    assert "damaged" in refused.json()["detail"]
