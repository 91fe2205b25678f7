"""What a drift run reads before it measures: the deployment, its model, and the model's frozen reference."""

import uuid
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from monitoring.store.errors import NotFound
from monitoring.store.tables import Deployment, Model, ReferenceProfile


@dataclass(frozen=True)
class DriftSubject:
    """A deployment to measure; `profile` is the JSON of `monitoring.profile.Profile`."""

    deployment_id: uuid.UUID
    name: str
    status: str
    model_id: uuid.UUID
    model_name: str
    profile: dict[str, Any]


def find_drift_subject(session: Session, deployment_id: uuid.UUID) -> DriftSubject:
    """Return what is known of a deployment, of whatever status. Raises NotFound."""
    statement = (
        select(Deployment.id, Deployment.name, Deployment.status, Model.id, Model.name, col(ReferenceProfile.profile))
        .join(Model, col(Model.id) == col(Deployment.model_id))
        .join(ReferenceProfile, col(ReferenceProfile.model_id) == col(Model.id))
        .where(Deployment.id == deployment_id)
    )
    row = session.execute(statement).first()
    if row is None:
        raise NotFound("deployment", deployment_id)
    return DriftSubject(*row)


def read_reference_sample(session: Session, model_id: uuid.UUID) -> bytes:
    """Return the capped sample of a model's reference (Parquet). Raises NotFound."""
    sample = session.exec(select(ReferenceProfile.sample).where(ReferenceProfile.model_id == model_id)).first()
    if sample is None:
        raise NotFound("reference of model", model_id)
    return sample


def list_active_deployments(session: Session) -> list[tuple[uuid.UUID, str]]:
    """Return id and name of every active deployment, oldest first."""
    statement = (
        select(Deployment.id, Deployment.name)
        .where(Deployment.status == "active")
        .order_by(col(Deployment.created_at), col(Deployment.id))
    )
    return [(row[0], row[1]) for row in session.execute(statement)]
