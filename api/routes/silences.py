"""Silences: stretches of time in which matching alerts send nothing."""

import uuid

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.auth import Principal, requires
from api.idempotency import Once
from api.schemas.common import Paging
from api.schemas.silences import SilenceCreate, SilencePage, SilenceView
from monitoring.store import audit, silences
from monitoring.store.clock import database_time
from monitoring.store.database import Database
from monitoring.store.pages import Page
from monitoring.store.projects import find_project, hold_project

_TAGS = ["silences"]


@post(
    "/api/mlops/projects/{project_id:uuid}/silences",
    operation_id="CreateSilence",
    summary="Silence alerts for a time",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def create_silence(
    project_id: FromPath[uuid.UUID],
    data: JSONBody[SilenceCreate],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    once: NamedDependency[Once],
) -> SilenceView:
    """Keep alerts that match from being told. They go on being evaluated; what still fires at the end is told then."""
    principal.require_project(project_id)
    with once.claim(data) as claim, database.transaction() as session:
        hold_project(session, project_id)
        now = database_time(session)
        row = silences.add_silence(session, project_id, data.terms(now), now=now, created_by=principal.key_id)
        audit.record(session, actor=principal.key_id, action="silence.created", subject=row, after=audit.snapshot(row))
        answer = SilenceView.of(row, now)
        claim.keep(session, answer)
    return answer


@get(
    "/api/mlops/projects/{project_id:uuid}/silences",
    operation_id="ListSilences",
    summary="List silences",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def list_silences(
    project_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
) -> SilencePage:
    """List a project's silences, those that have ended too."""
    principal.require_project(project_id)
    with database.transaction() as session:
        find_project(session, project_id)
        now = database_time(session)
        rows, total = silences.list_silences(session, project_id, Page(paging.limit, paging.offset))
    return SilencePage([SilenceView.of(row, now) for row in rows], total, paging.limit, paging.offset)


@get(
    "/api/mlops/projects/{project_id:uuid}/silences/{silence_id:uuid}",
    operation_id="GetSilence",
    summary="Get a silence",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_silence(
    project_id: FromPath[uuid.UUID],
    silence_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
) -> SilenceView:
    """Return one silence of a project."""
    principal.require_project(project_id)
    with database.transaction() as session:
        find_project(session, project_id)
        return SilenceView.of(silences.find_silence(session, project_id, silence_id), database_time(session))


@put(
    "/api/mlops/projects/{project_id:uuid}/silences/{silence_id:uuid}",
    operation_id="ReplaceSilence",
    summary="Replace a silence",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def replace_silence(
    project_id: FromPath[uuid.UUID],
    silence_id: FromPath[uuid.UUID],
    data: JSONBody[SilenceCreate],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
) -> SilenceView:
    """Say anew what a silence covers and when; without `starts_at` it starts now. To end it, remove it."""
    principal.require_project(project_id)
    with database.transaction() as session:
        find_project(session, project_id)
        row = silences.find_silence(session, project_id, silence_id, lock=True)
        now = database_time(session)
        before = audit.snapshot(row)
        silences.change_silence(session, row, data.terms(now))
        after = audit.snapshot(row)
        audit.record(session, actor=principal.key_id, action="silence.updated", subject=row, before=before, after=after)
    return SilenceView.of(row, now)


@delete(
    "/api/mlops/projects/{project_id:uuid}/silences/{silence_id:uuid}",
    operation_id="DeleteSilence",
    summary="End and remove a silence",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def delete_silence(
    project_id: FromPath[uuid.UUID],
    silence_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
) -> None:
    """End a silence now and remove it: what still fires is told at the next evaluation."""
    principal.require_project(project_id)
    with database.transaction() as session:
        find_project(session, project_id)
        row = silences.find_silence(session, project_id, silence_id, lock=True)
        before = audit.snapshot(row)
        silences.remove_silence(session, row)
        audit.record(session, actor=principal.key_id, action="silence.deleted", subject=row, before=before)
