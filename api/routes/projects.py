"""Projects and their timeline."""

import uuid
from datetime import UTC, datetime
from typing import Annotated

from litestar import delete, get, post, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET

from api.auth import KeyRing, Principal, requires
from api.idempotency import Once
from api.schemas.common import Paging, Search
from api.schemas.projects import (
    EventView,
    ProjectAnswer,
    ProjectCreate,
    ProjectPage,
    ProjectUpdate,
    ProjectView,
    Timeline,
)
from monitoring.store import audit, projects
from monitoring.store.changes import announce
from monitoring.store.database import Database


@post(
    "/api/projects",
    operation_id="CreateProject",
    summary="Make a project",
    tags=["projects"],
    guards=[requires("write")],
    sync_to_thread=True,
)
def create_project(
    data: JSONBody[ProjectCreate],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    once: NamedDependency[Once],
) -> ProjectAnswer:
    """Make a project. A key of one project may not."""
    principal.require_all_projects()
    with once.claim(data) as claim, database.transaction() as session:
        row = projects.create_project(
            session, name=data.name, description=data.description, log_retention_days=data.log_retention_days
        )
        audit.record(session, actor=principal.key_id, action="project.created", subject=row, after=audit.snapshot(row))
        answer = ProjectAnswer.of(row)
        claim.keep(session, answer)
    return answer


@get(
    "/api/projects",
    operation_id="ListProjects",
    summary="List projects",
    tags=["projects"],
    guards=[requires("read")],
    sync_to_thread=True,
)
def list_projects(
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
    search: Search = None,
) -> ProjectPage:
    """List the projects the key may see; `search` looks in names and descriptions."""
    with database.transaction() as session:
        rows, total = projects.list_projects(
            session, only=principal.project_id, search=search, limit=paging.limit, offset=paging.offset
        )
    return ProjectPage([ProjectView.of(row) for row in rows], total, paging.limit, paging.offset)


@get(
    "/api/projects/{project_id:uuid}",
    operation_id="GetProject",
    summary="Get a project",
    tags=["projects"],
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_project(
    project_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> ProjectAnswer:
    """Return one project."""
    principal.require_project(project_id)
    with database.transaction() as session:
        return ProjectAnswer.of(projects.find_project(session, project_id))


@put(
    "/api/projects/{project_id:uuid}",
    operation_id="UpdateProject",
    summary="Change a project",
    tags=["projects"],
    guards=[requires("write")],
    sync_to_thread=True,
)
def update_project(
    project_id: FromPath[uuid.UUID],
    data: JSONBody[ProjectUpdate],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
) -> ProjectAnswer:
    """Rename a project, or change its description or how many days its log rows stay."""
    principal.require_project(project_id)
    with database.transaction() as session:
        row = projects.lock_project(session, project_id)
        before = audit.snapshot(row)
        days = row.log_retention_days if data.log_retention_days is UNSET else data.log_retention_days
        projects.update_project(
            session,
            row,
            name=data.name,
            description=data.description,
            log_retention_days=days,
            now=datetime.now(UTC),
        )
        audit.record(
            session,
            actor=principal.key_id,
            action="project.updated",
            subject=row,
            before=before,
            after=audit.snapshot(row),
        )
    return ProjectAnswer.of(row)


@delete(
    "/api/projects/{project_id:uuid}",
    operation_id="DeleteProject",
    summary="Remove a project",
    tags=["projects"],
    guards=[requires("write")],
    sync_to_thread=True,
)
def delete_project(
    project_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    state: State,
    force: Annotated[bool, QueryParameter(description="Remove it even while its production deployment serves")] = False,
) -> None:
    """Remove a project with its models, deployments, inference logs and keys; its audit events stay."""
    ring: KeyRing = state.key_ring
    principal.require_project(project_id)
    with database.transaction() as session:
        removed = projects.delete_project(session, project_id, force=force)
        audit.record(
            session,
            actor=principal.key_id,
            action="project.deleted",
            subject=removed.project,
            before=audit.snapshot(removed.project),
        )
        announce(session, "project", project_id)
        for deployment_id in removed.deployment_ids:
            announce(session, "deployment", deployment_id)
        for key_id in removed.key_ids:
            announce(session, "key", key_id)
    for key_id in removed.key_ids:
        ring.forget(key_id)


@get(
    "/api/projects/{project_id:uuid}/timeline",
    operation_id="GetProjectTimeline",
    summary="Get a project's timeline",
    tags=["projects"],
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_timeline(
    project_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
) -> Timeline:
    """Return what changed in a project, newest first, out of the audit log."""
    principal.require_project(project_id)
    with database.transaction() as session:
        projects.find_project(session, project_id)
        rows, total = audit.list_events(session, project_id=project_id, limit=paging.limit, offset=paging.offset)
    return Timeline([EventView.of(row) for row in rows], total, paging.limit, paging.offset)
