"""Projects: create, find, list, change and remove with everything in them."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import Session, col, func, or_, select

from monitoring.store.alert_steps import lock_alerts
from monitoring.store.alert_tables import Delivery
from monitoring.store.artifacts import delete_unused_artifact
from monitoring.store.errors import Conflict, NotFound
from monitoring.store.ledger import remove_rows
from monitoring.store.tables import ApiKey, Deployment, InferenceCount, Model, Project


@dataclass(frozen=True)
class RemovedProject:
    """What went with a project and other processes may still remember."""

    project: Project
    deployment_ids: list[uuid.UUID]
    key_ids: list[str]


def create_project(session: Session, *, name: str, description: str, log_retention_days: int | None = None) -> Project:
    """Store a new project. Names need not differ."""
    project = Project(name=name, description=description, log_retention_days=log_retention_days)
    session.add(project)
    session.flush()
    return project


def find_project(session: Session, project_id: uuid.UUID) -> Project:
    """Return a project. Raises NotFound."""
    project = session.get(Project, project_id)
    if project is None:
        raise NotFound("project", project_id)
    return project


def lock_project(session: Session, project_id: uuid.UUID) -> Project:
    """Return a project locked until the transaction ends: nothing joins or changes it meanwhile. Raises NotFound."""
    project = session.exec(select(Project).where(Project.id == project_id).with_for_update()).first()
    if project is None:
        raise NotFound("project", project_id)
    return project


def hold_project(session: Session, project_id: uuid.UUID) -> None:
    """See to it that nothing removes a project until the transaction ends. Raises NotFound.

    What joins a project takes this before any lock on things inside it, as their removal does: so neither waits for
    the other.
    """
    held = select(Project.id).where(Project.id == project_id).with_for_update(read=True, key_share=True)
    if session.exec(held).first() is None:
        raise NotFound("project", project_id)


def list_projects(
    session: Session, *, only: uuid.UUID | None, search: str | None, limit: int, offset: int
) -> tuple[list[Project], int]:
    """Return a page of projects, newest first, and how many there are.

    `only` narrows to the one project a key may see, `search` to names and descriptions that contain it in any case.
    """
    where = [] if only is None else [col(Project.id) == only]
    if search:
        where.append(
            or_(
                col(Project.name).icontains(search, autoescape=True),
                col(Project.description).icontains(search, autoescape=True),
            )
        )
    total = session.exec(select(func.count()).select_from(Project).where(*where)).one()
    page = (
        select(Project)
        .where(*where)
        .order_by(col(Project.created_at).desc(), col(Project.id).desc())
        .limit(limit)
        .offset(offset)
    )
    return list(session.exec(page)), total


def update_project(
    session: Session,
    project: Project,
    *,
    name: str,
    description: str | None,
    log_retention_days: int | None,
    now: datetime,
) -> Project:
    """Rename a project and set its days to keep; a description of None leaves the present one."""
    project.name = name
    project.log_retention_days = log_retention_days
    project.description = project.description if description is None else description
    project.updated_at = now
    session.add(project)
    session.flush()
    return project


def delete_project(session: Session, project_id: uuid.UUID, *, force: bool) -> RemovedProject:
    """Remove a project with its models, deployments, inference logs, jobs, keys, alert rules and alerts.

    Raises NotFound, or Conflict while a production deployment is active, unless `force`. The counts go last: the log
    writer waits for their rows, and should wait briefly. No evaluation of alerts runs meanwhile: each would wait for
    the other's rows.
    """
    lock_alerts(session)
    project = lock_project(session, project_id)
    serving = select(Deployment.name).where(
        Deployment.project_id == project_id, Deployment.stage == "production", Deployment.status == "active"
    )
    name = session.exec(serving).first()
    if name is not None and not force:
        raise Conflict(
            f"The production deployment {name!r} of this project is active: deactivate it first, or add ?force=true"
        )
    deployment_ids = list(session.exec(select(Deployment.id).where(Deployment.project_id == project_id)))
    key_ids = list(session.exec(select(ApiKey.id).where(ApiKey.project_id == project_id)))
    artifacts = sorted(set(session.exec(select(Model.mojo_sha256).where(Model.project_id == project_id))))
    # Before what the cascade takes: whoever records a delivery holds its row and then waits for the alert's.
    session.execute(delete(Delivery).where(col(Delivery.project_id) == project_id))
    remove_rows(session, deployment_ids)
    session.execute(delete(Project).where(col(Project.id) == project_id))
    for sha256 in artifacts:
        delete_unused_artifact(session, sha256)
    session.execute(delete(InferenceCount).where(col(InferenceCount.deployment_id).in_(deployment_ids)))
    remove_rows(session, deployment_ids)  # those whose counts were waited for
    return RemovedProject(project, deployment_ids, key_ids)
