"""The inference log over HTTP."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter

from api.auth import Principal, requires
from api.errors import FieldError, Invalid
from api.schemas.common import Offset
from api.schemas.inference_logs import InferenceLogPage, InferenceLogView
from monitoring.store.database import Database
from monitoring.store.deployments import find_deployment
from monitoring.store.inference_logs import LogFilter, read_page

LogLimit = Annotated[int, QueryParameter(ge=1, le=500, description="How many items to return at most")]
Since = Annotated[
    str | None, QueryParameter(description="ISO 8601; only rows created strictly after it. Without an offset: UTC")
]
Until = Annotated[
    str | None, QueryParameter(description="ISO 8601; only rows created strictly before it. Without an offset: UTC")
]
StatusCode = Annotated[int | None, QueryParameter(ge=100, le=599, description="Only rows of this HTTP status")]


@dataclass(frozen=True)
class LogQuery:
    """Which rows of the log, and which page of them."""

    limit: int
    offset: int
    since: datetime | None
    until: datetime | None
    status_code: int | None


def provide_log_query(
    limit: LogLimit = 50,
    offset: Offset = 0,
    since: Since = None,
    until: Until = None,
    status_code: StatusCode = None,
) -> LogQuery:
    """Give the listing its query. Raises Invalid for a time that cannot be read."""
    return LogQuery(limit, offset, _instant("since", since), _instant("until", until), status_code)


@get(
    "/api/mlops/deployments/{deployment_id:uuid}/inference-logs",
    operation_id="ListInferenceLogs",
    summary="List logged predictions",
    tags=["predictions"],
    guards=[requires("read")],
    dependencies={"wanted": Provide(provide_log_query, sync_to_thread=False)},
    sync_to_thread=True,
)
def list_inference_logs(
    deployment_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    wanted: NamedDependency[LogQuery],
) -> InferenceLogPage:
    """List a deployment's logged rows, failed requests included, with the exact number that the filter matches.

    Walk pages with a fixed `until`: rows that are added meanwhile then move nothing.
    """
    with database.transaction() as session:
        found = find_deployment(session, deployment_id)
        principal.require_project(found.project_id, kind="deployment", identifier=deployment_id)
    only = LogFilter(deployment_id, wanted.since, wanted.until, wanted.status_code)
    with database.transaction() as session:
        rows, total = read_page(session, only, limit=wanted.limit, offset=wanted.offset)
    return InferenceLogPage([InferenceLogView.of(row) for row in rows], total, wanted.limit, wanted.offset)


def _instant(name: str, given: str | None) -> datetime | None:
    """Read a time as the contract writes it; a `+` that arrives as a blank, unescaped, is meant as one."""
    if given is None:
        return None
    try:
        read = datetime.fromisoformat(given if given.count(" ") == 0 else "+".join(given.rsplit(" ", 1)))
    except ValueError:
        try:
            read = datetime.fromisoformat(given)
        except ValueError as error:
            raise Invalid(FieldError(name, "must be an ISO 8601 time, like 2026-02-25T09:00:00Z")) from error
    try:
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise Invalid(FieldError(name, "lies outside the years 1 to 9999")) from error
