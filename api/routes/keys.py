"""API keys: make, list, revoke. Scope `admin`; a key of one project manages that project's keys only."""

import uuid
from datetime import UTC, datetime
from typing import Annotated

from litestar import delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, PathParameter

from api.auth import KeyRing, Principal, requires
from api.errors import FieldError, Invalid
from api.idempotency import Once
from api.schemas.common import Paging, in_utc
from api.schemas.keys import KeyCreate, KeyCreated, KeyPage, KeyView
from monitoring.store import audit, keys
from monitoring.store.changes import announce
from monitoring.store.database import Database
from monitoring.store.errors import NotFound
from monitoring.store.projects import find_project

KeyId = Annotated[
    str, PathParameter(max_length=64, pattern=r"^[A-Za-z0-9]+$", description="The part between pk_ and _")
]


@post(
    "/api/auth/api-keys",
    operation_id="CreateApiKey",
    summary="Make an API key",
    tags=["keys"],
    guards=[requires("admin")],
    sync_to_thread=True,
)
def create_api_key(
    data: JSONBody[KeyCreate],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    once: NamedDependency[Once],
) -> KeyCreated:
    """Make a key and show it once. Made with a key of one project, it belongs to that project."""
    project_id = data.project_id or principal.project_id
    if project_id is not None:
        principal.require_project(project_id)
    expires_at = in_utc(data.expires_at, "expires_at")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise Invalid(FieldError("expires_at", "must lie in the future"))
    with once.claim(data) as claim, database.transaction() as session:
        if project_id is not None:
            find_project(session, project_id)
        row, text = keys.create_key(
            session,
            name=data.name,
            scopes=sorted(set(data.scopes)),
            project_id=project_id,
            expires_at=expires_at,
        )
        audit.record(session, actor=principal.key_id, action="key.created", subject=row, after=audit.snapshot(row))
        claim.keep_secret(session)
    return KeyCreated(id=row.id, key=text, api_key=KeyView.of(row))


@get(
    "/api/auth/api-keys",
    operation_id="ListApiKeys",
    summary="List API keys",
    tags=["keys"],
    guards=[requires("admin")],
    sync_to_thread=True,
)
def list_api_keys(
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
    project_id: FromQuery[uuid.UUID | None] = None,
) -> KeyPage:
    """List keys without secrets, revoked ones included; `project_id` narrows to one project's."""
    wanted = project_id or principal.project_id
    if wanted is not None:
        principal.require_project(wanted)
    with database.transaction() as session:
        rows, total = keys.list_keys(session, project_id=wanted, limit=paging.limit, offset=paging.offset)
    return KeyPage([KeyView.of(row) for row in rows], total, paging.limit, paging.offset)


@delete(
    "/api/auth/api-keys/{key_id:str}",
    operation_id="RevokeApiKey",
    summary="Revoke an API key",
    tags=["keys"],
    guards=[requires("admin")],
    sync_to_thread=True,
)
def revoke_api_key(
    key_id: KeyId, database: NamedDependency[Database], principal: NamedDependency[Principal], state: State
) -> None:
    """Revoke a key at once and for good. A key revoked already answers 409."""
    ring: KeyRing = state.key_ring
    with database.transaction() as session:
        row = keys.find_key(session, key_id)
        if row is None or principal.project_id not in (None, row.project_id):
            raise NotFound("API key", key_id)
        before = audit.snapshot(row)
        row = keys.revoke_key(session, key_id, now=datetime.now(UTC))
        audit.record(
            session,
            actor=principal.key_id,
            action="key.revoked",
            subject=row,
            before=before,
            after=audit.snapshot(row),
        )
        announce(session, "key", key_id)
    ring.forget(key_id)
