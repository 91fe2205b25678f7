"""Deployments: find, lock, list, and what serving them needs to know."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select

from monitoring.store.errors import NotFound
from monitoring.store.privacy_facts import (
    PrivacyFacts,
    named_policy,
    privacy_facts,
    read_key_generations,
    read_rule_sets,
)
from monitoring.store.tables import Deployment, Model


@dataclass(frozen=True)
class ServingFacts:
    """What a process must know of a deployment to serve it, and to see that it changed."""

    deployment_id: uuid.UUID
    project_id: uuid.UUID
    model_id: uuid.UUID
    mojo_sha256: str
    name: str
    stage: str
    status: str
    traffic_percent: int
    updated_at: datetime
    privacy_key_generation: int
    privacy: PrivacyFacts | None = None

    @property
    def is_active(self) -> bool:
        """Say whether it serves."""
        return self.status == "active"


@dataclass(frozen=True)
class DeploymentFilter:
    """Which deployments of a project to list; None leaves a condition out."""

    project_id: uuid.UUID
    stage: str | None = None
    status: str | None = None


def find_deployment(session: Session, deployment_id: uuid.UUID) -> Deployment:
    """Return a deployment. Raises NotFound."""
    deployment = session.get(Deployment, deployment_id)
    if deployment is None:
        raise NotFound("deployment", deployment_id)
    return deployment


def reread_deployment(session: Session, deployment_id: uuid.UUID) -> Deployment:
    """Return a deployment as it is now, whatever the session read of it before. Raises NotFound."""
    found = session.exec(
        select(Deployment).where(Deployment.id == deployment_id).execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound("deployment", deployment_id)
    return found


def find_production(session: Session, project_id: uuid.UUID) -> Deployment | None:
    """Return the project's active production deployment."""
    return session.exec(
        select(Deployment)
        .where(Deployment.project_id == project_id, Deployment.stage == "production", Deployment.status == "active")
        .execution_options(populate_existing=True)
    ).first()


def list_deployments(
    session: Session, wanted: DeploymentFilter, *, limit: int, offset: int
) -> tuple[list[Deployment], int]:
    """Return a page of a project's deployments, newest first, and how many there are."""
    where = [col(Deployment.project_id) == wanted.project_id]
    if wanted.stage is not None:
        where.append(col(Deployment.stage) == wanted.stage)
    if wanted.status is not None:
        where.append(col(Deployment.status) == wanted.status)
    total = session.exec(select(func.count()).select_from(Deployment).where(*where)).one()
    page = (
        select(Deployment)
        .where(*where)
        .order_by(col(Deployment.created_at).desc(), col(Deployment.id).desc())
        .limit(limit)
        .offset(offset)
    )
    return list(session.exec(page)), total


def read_serving_facts(session: Session, deployment_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, ServingFacts]:
    """Return the facts of those deployments that exist, by id."""
    found = session.exec(
        select(Deployment, Model.mojo_sha256)
        .join(Model, col(Model.id) == col(Deployment.model_id))
        .where(col(Deployment.id).in_(deployment_ids))
    )
    return {facts.deployment_id: facts for facts in _facts(session, found)}


def read_active_facts(session: Session, project_id: uuid.UUID | None = None) -> list[ServingFacts]:
    """Return the facts of all active deployments, or of a project's, oldest first."""
    where = [col(Deployment.status) == "active"]
    if project_id is not None:
        where.append(col(Deployment.project_id) == project_id)
    found = session.exec(
        select(Deployment, Model.mojo_sha256)
        .join(Model, col(Model.id) == col(Deployment.model_id))
        .where(*where)
        .order_by(col(Deployment.created_at), col(Deployment.id))
    )
    return _facts(session, found)


def _facts(session: Session, found: Iterable[tuple[Deployment, str]]) -> list[ServingFacts]:
    rows = list(found)
    rule_sets = read_rule_sets(session, {named for each, _ in rows if (named := named_policy(each.config)) is not None})
    generations = read_key_generations(session, {each.project_id for each, _ in rows})
    return [
        ServingFacts(
            deployment_id=deployment.id,
            project_id=deployment.project_id,
            model_id=deployment.model_id,
            mojo_sha256=mojo_sha256,
            name=deployment.name,
            stage=deployment.stage,
            status=deployment.status,
            traffic_percent=int(deployment.config["traffic_percent"]),
            updated_at=deployment.updated_at,
            privacy_key_generation=generations[deployment.project_id],
            privacy=privacy_facts(deployment.config, rule_sets, key_generation=generations[deployment.project_id]),
        )
        for deployment, mojo_sha256 in rows
    ]
