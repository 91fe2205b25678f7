"""Deleting a project: with everything in it, and nothing of its neighbours."""

import threading
import time
import uuid
from datetime import UTC, datetime

import pytest
from sqlmodel import Session, SQLModel, func, select

from monitoring.store.alert_tables import (
    Alert,
    AlertEvent,
    AlertRule,
    AlertState,
    Channel,
    Delivery,
    DeliveryAttempt,
    Feedback,
    Notice,
    Silence,
)
from monitoring.store.artifacts import delete_unused_artifact
from monitoring.store.database import Database
from monitoring.store.errors import Conflict
from monitoring.store.ids import new_id
from monitoring.store.keys import create_key
from monitoring.store.privacy_tables import PrivacyKey, PrivacyPolicy, PrivacyRule, PrivacyVersion
from monitoring.store.projects import create_project, delete_project
from monitoring.store.tables import (
    ApiKey,
    Artifact,
    ArtifactChunk,
    Deployment,
    InferenceCount,
    InferenceLog,
    Job,
    Model,
    Project,
)
from tests.integration.alerts.furnishing import furnish_watch
from tests.integration.privacy.furnishing import furnish_privacy

EVERYTHING: tuple[type[SQLModel], ...] = (
    Project,
    ApiKey,
    Model,
    Deployment,
    InferenceLog,
    InferenceCount,
    Job,
    Feedback,
    Channel,
    AlertRule,
    AlertState,
    Alert,
    Silence,
    Notice,
    Delivery,
    DeliveryAttempt,
    PrivacyPolicy,
    PrivacyRule,
    PrivacyVersion,
    PrivacyKey,
)
SHARED = "a" * 64


def furnish(session: Session, *, stage: str = "production", status: str = "active") -> uuid.UUID:
    """Make a project with one row of everything, its model of the shared artifact."""
    if session.get(Artifact, SHARED) is None:
        session.add(Artifact(sha256=SHARED, size_bytes=1))
        session.flush()
        session.add(ArtifactChunk(sha256=SHARED, position=0, data=b"x"))
    project = create_project(session, name="p", description="")
    create_key(session, name="k", scopes=["read"], project_id=project.id)
    model = Model(
        project_id=project.id,
        name="m",
        algo="gbm",
        category="Binomial",
        features=[],
        mojo_sha256=SHARED,
        reference_rows=1,
        metrics={},
        parameters={},
    )
    session.add(model)
    session.flush()
    deployment = Deployment(
        project_id=project.id, model_id=model.id, name="d", stage=stage, status=status, config={"traffic_percent": 100}
    )
    session.add(deployment)
    session.flush()
    now = datetime.now(UTC)
    session.add(Job(id=new_id(), kind="drift", project_id=project.id, deployment_id=deployment.id))
    session.add(
        InferenceLog(
            deployment_id=deployment.id,
            created_at=now,
            id=new_id(),
            request_id=new_id(),
            status_code=200,
            latency_ms=1.0,
        )
    )
    session.add(Feedback(deployment_id=deployment.id, inference_id=new_id(), predicted_at=now, label="yes"))
    furnish_watch(session, deployment)
    furnish_privacy(session, project.id)
    minute = now.replace(second=0, microsecond=0)
    session.add(InferenceCount(deployment_id=deployment.id, minute=minute, status_code=200, row_count=1))
    session.flush()
    return project.id


def counts(database: Database) -> list[int]:
    with database.transaction() as session:
        return [session.exec(select(func.count()).select_from(table)).one() for table in EVERYTHING]


def test_everything_of_the_project_goes_and_nothing_else(database: Database) -> None:
    with database.transaction() as session:
        gone, stays = furnish(session), furnish(session)
    assert counts(database) == [2] * len(EVERYTHING)
    with database.transaction() as session:
        removed = delete_project(session, gone, force=True)
    assert len(removed.deployment_ids) == len(removed.key_ids) == 1
    assert counts(database) == [1] * len(EVERYTHING)
    with database.transaction() as session:
        assert session.get(Project, stays) is not None
        assert session.get(Artifact, SHARED) is not None
        delete_project(session, stays, force=True)
    assert counts(database) == [0] * len(EVERYTHING)
    with database.transaction() as session:
        assert session.get(Artifact, SHARED) is None
        assert session.exec(select(func.count()).select_from(AlertEvent)).one() == 0


def test_an_active_production_deployment_protects_it(database: Database) -> None:
    with database.transaction() as session:
        serving = furnish(session)
        staged = furnish(session, stage="staging")
        past = furnish(session, stage="archived", status="inactive")
    with pytest.raises(Conflict, match="deactivate"), database.transaction() as session:
        delete_project(session, serving, force=False)
    with database.transaction() as session:
        delete_project(session, staged, force=False)
        delete_project(session, past, force=False)
    assert counts(database) == [1] * len(EVERYTHING)


def test_an_artifact_that_is_just_being_taken_into_use_stays(database: Database) -> None:
    """A removal that waits for an import of the same content sees the import's model afterwards."""
    with database.transaction() as session:
        session.add(Artifact(sha256=SHARED, size_bytes=1))
    removed: list[bool] = []

    def remove() -> None:
        with database.transaction() as other:
            removed.append(delete_unused_artifact(other, SHARED))

    with database.transaction() as session:
        lock = select(Artifact.sha256).where(Artifact.sha256 == SHARED).with_for_update(read=True, key_share=True)
        session.exec(lock).one()
        remover = threading.Thread(target=remove)
        remover.start()
        time.sleep(0.3)
        assert removed == []
        furnish(session)
    remover.join()
    assert removed == [False]
    with database.transaction() as session:
        assert session.get(Artifact, SHARED) is not None
