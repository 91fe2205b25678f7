"""Which deployments drift runs look at, and what they are called."""

import uuid
from dataclasses import dataclass

from sqlmodel import Session, col, select

from monitoring.store.errors import NotFound
from monitoring.store.tables import Deployment, Model


@dataclass(frozen=True)
class DriftSubject:
    """A deployment to measure, of whatever status."""

    deployment_id: uuid.UUID
    project_id: uuid.UUID
    name: str
    status: str
    model_name: str


def find_drift_subject(session: Session, deployment_id: uuid.UUID) -> DriftSubject:
    """Return a deployment's names and status. Raises NotFound."""
    statement = (
        select(Deployment, Model.name)
        .join(Model, col(Model.id) == col(Deployment.model_id))
        .where(Deployment.id == deployment_id)
    )
    found = session.exec(statement).first()
    if found is None:
        raise NotFound("deployment", deployment_id)
    deployment, model_name = found
    return DriftSubject(deployment.id, deployment.project_id, deployment.name, deployment.status, model_name)


def list_active_deployments(session: Session) -> list[tuple[uuid.UUID, str]]:
    """Return id and name of every active deployment, oldest first."""
    statement = (
        select(Deployment.id, Deployment.name)
        .where(Deployment.status == "active")
        .order_by(col(Deployment.created_at), col(Deployment.id))
    )
    return [(row[0], row[1]) for row in session.execute(statement)]
