"""The one error table: what each failure answers, as application/problem+json (RFC 9457)."""

import logging
import re
from http import HTTPStatus
from typing import Any

import msgspec
import psycopg
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from monitoring.store.errors import Conflict, NoAnswer, NotFound

logger = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
_PATH_IN_MESSAGE = re.compile(r"^(?P<message>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_FIELD_IN_MESSAGE = re.compile(r"field `(?P<field>[^`]+)`")
_PARAMETER_NAMES = {"alert_state": "state", "idempotency_key": "Idempotency-Key"}  # by the handlers' arguments


class FieldError(msgspec.Struct, frozen=True):
    """One wrong field of a request and what is wrong with it."""

    field: str
    message: str


class Invalid(Exception):
    """The body or a parameter is wrong (422)."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = list(errors)


class NotAuthenticated(Exception):
    """No key, or one we do not know, expired or revoked (401)."""


class Forbidden(Exception):
    """The key lacks a scope (403)."""


class UnsupportedMediaType(Exception):
    """The body's Content-Type is not one the route reads (415)."""


class TooLarge(Exception):
    """The body or an upload passes its bound (413)."""


class TooSlow(Exception):
    """The body did not arrive in time (408)."""


class AlreadyAnswered(Exception):
    """The Idempotency-Key was answered before: give that answer again, as it was."""

    def __init__(self, status_code: int, body: bytes) -> None:
        super().__init__(f"answered before with {status_code}")
        self.status_code = status_code
        self.body = body


class Unavailable(Exception):
    """A part we need does not answer just now (503 with Retry-After, in whole seconds)."""

    def __init__(self, detail: str, *, retry_after_s: int = 5) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


_STATUS_BY_ERROR: dict[type[Exception], int] = {
    Invalid: 422,
    NotAuthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    TooSlow: 408,
    Conflict: 409,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    Unavailable: 503,
}


def status_of(error: Exception) -> int:
    """Return the status that a failure answers."""
    for kind, status in _STATUS_BY_ERROR.items():
        if isinstance(error, kind):
            return status
    if isinstance(error, HTTPException):
        return 422 if error.status_code == 400 else error.status_code
    return 503 if isinstance(error, OperationalError | PoolTimeout | NoAnswer) else 500


def field_error(error: msgspec.ValidationError | str) -> FieldError:
    """Return the field and message that a msgspec validation text names."""
    matched = _PATH_IN_MESSAGE.match(str(error))
    message, path = (matched["message"], matched["path"] or "") if matched else (str(error), "")
    named = _FIELD_IN_MESSAGE.search(message)
    parts = [part for part in (path, named["field"] if named else "") if part]
    return FieldError(field=".".join(parts) or "body", message=message)


def problem(
    request: Request[Any, Any, Any],
    status: int,
    detail: str,
    *,
    errors: list[FieldError] | None = None,
    headers: dict[str, str] | None = None,
) -> Response[Any]:
    """Return the problem document for one failure."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
    }
    if errors is not None:
        content["errors"] = errors
    return Response(content, status_code=status, media_type=PROBLEM_JSON, headers=headers)


def answer_fact(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer an error of ours by the table."""
    status = next(status for kind, status in _STATUS_BY_ERROR.items() if isinstance(error, kind))
    headers: dict[str, str] = {}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = _challenge(request)
    return problem(
        request,
        status,
        str(error),
        errors=error.errors if isinstance(error, Invalid) else None,
        headers=headers,
    )


def _challenge(request: Request[Any, Any, Any]) -> str:
    """Have a browser that opens a page ask for the key (as password, with any user name); programs send a bearer."""
    browsing = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    return f'{"Basic" if browsing else "Bearer"} realm="pilothouse"'


def answer_decode_error(request: Request[Any, Any, Any], error: msgspec.MsgspecError) -> Response[Any]:
    """Answer a body that is not JSON, or JSON of the wrong shape."""
    if isinstance(error, msgspec.ValidationError):
        wrong = field_error(error)
        return problem(request, 422, f"{wrong.field}: {wrong.message}", errors=[wrong])
    wrong = FieldError("body", f"The body is not valid JSON: {error}")
    return problem(request, 422, wrong.message, errors=[wrong])


def answer_parameter_error(request: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
    """Answer a path or query parameter of the wrong type or out of range: a malformed id is simply not found."""
    extra = error.extra if isinstance(error.extra, list) else []
    if any(item.get("source") == "path" for item in extra if isinstance(item, dict)):
        return problem(request, 404, f"No such resource: {request.url.path}")
    wrong = [
        FieldError(_parameter(str(item.get("key", "body"))), str(item.get("message", "invalid")))
        for item in extra
        if isinstance(item, dict)
    ] or [FieldError("body", error.detail)]
    return problem(request, 422, "; ".join(f"{item.field}: {item.message}" for item in wrong), errors=wrong)


def _parameter(argument: str) -> str:
    return _PARAMETER_NAMES.get(argument, argument)


def answer_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Answer what the framework itself refuses: no such route, wrong method, body too large."""
    status = 422 if error.status_code == 400 else error.status_code
    errors = [FieldError("body", error.detail)] if status == 422 else None
    return problem(request, status, error.detail, errors=errors, headers=error.headers)


def answer_again(_: Request[Any, Any, Any], error: AlreadyAnswered) -> Response[Any]:
    """Give the first answer to an Idempotency-Key again."""
    return Response(
        error.body,
        status_code=error.status_code,
        media_type="application/json",
        headers={"Idempotent-Replayed": "true"},
    )


def answer_unstorable(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer a value that passed our checks and that PostgreSQL refuses (a NUL character, a number out of range)."""
    logger.info("unstorable value during %s %s: %s", request.method, request.url.path, type(error).__name__)
    wrong = FieldError("body", "A value cannot be stored: a NUL character, or a number or time out of range")
    return problem(request, 422, wrong.message, errors=[wrong])


def answer_lost_race(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer a change that a concurrent one made impossible between our check and our write."""
    logger.info("lost race during %s %s: %s", request.method, request.url.path, type(error).__name__)
    return problem(request, 409, "Something this refers to was changed or removed at the same moment: look and retry")


def answer_database_down(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer 503 while PostgreSQL is away: the state passes, so the caller may retry."""
    logger.warning("database unavailable during %s %s: %s", request.method, request.url.path, type(error).__name__)
    return problem(request, 503, "The database does not answer just now", headers={"Retry-After": "5"})


def answer_bug(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer 500 for what should not happen, and log it whole."""
    logger.error("unexpected error during %s %s", request.method, request.url.path, exc_info=error)
    return problem(request, 500, "An unexpected error; the server's log has the details")


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    **dict.fromkeys(_STATUS_BY_ERROR, answer_fact),
    msgspec.MsgspecError: answer_decode_error,
    ValidationException: answer_parameter_error,
    HTTPException: answer_http_exception,
    AlreadyAnswered: answer_again,
    DataError: answer_unstorable,
    psycopg.DataError: answer_unstorable,
    IntegrityError: answer_lost_race,
    psycopg.IntegrityError: answer_lost_race,
    OperationalError: answer_database_down,
    psycopg.OperationalError: answer_database_down,
    PoolTimeout: answer_database_down,
    NoAnswer: answer_database_down,
    Exception: answer_bug,
}
