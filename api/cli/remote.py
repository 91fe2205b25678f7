"""The API as the command line calls it: address, key, whole lists, and refusals in one sentence."""

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click
import httpx

from api.cli.keys import issue_key
from api.cli.opened_database import opened_database
from api.settings import Settings
from api.supervisor.parts import api_address

KEY_VARIABLE = "PILOTHOUSE_KEY"
URL_VARIABLE = "PILOTHOUSE_URL"
_KEY_LIFE = timedelta(minutes=10)
_TIMEOUT_S = 120.0  # a channel's test sends for real
_PAGE = 200

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Refused(RuntimeError):
    """The API did not do what it was asked; `errors` names the fields that are wrong, if it was that."""

    def __init__(self, text: str, errors: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(text)
        self.errors = errors


class Remote:
    """One API, called with one key."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **parameters: Any) -> Any:  # noqa: ANN401 - JSON
        """Make a call and return the answer's JSON (None for an empty one). Raises Refused with what was said."""
        try:
            answer = self._http.request(method, path, json=body, params=parameters)
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise Refused(f"No answer from {self._http.base_url} ({said}). Is `pilothouse up` running?") from error
        if answer.is_error:
            raise _refusal(answer)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise Refused(f"{self._http.base_url} answers, but not as Pilothouse does") from error

    def items(self, path: str, **parameters: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        """Return a whole list, page by page; what moves to a later page meanwhile is not given twice."""
        found: dict[str, dict[str, Any]] = {}
        offset = 0
        while True:
            page = self.call("GET", path, limit=_PAGE, offset=offset, **parameters)
            found |= {each["id"]: each for each in page["items"]}
            offset += _PAGE
            if offset >= page["total"]:
                return list(found.values())


def address_options(function: Decorated) -> Decorated:
    """Add the options that say which API and which project is meant."""
    url = click.option("--url", envvar=URL_VARIABLE, help="The API's address; this machine's when left out.")
    project = click.option("--project", help="A project, by id or name; may be left out where there is only one.")
    return url(project(function))


@contextmanager
def connected(settings: Settings, url: str | None) -> Iterator[Remote]:
    """Yield the API at an address, or this machine's. Raises ClickException when there is no key for it."""
    base = (url or api_address(settings)).rstrip("/")
    headers = {"Authorization": f"Bearer {_key(settings, url)}"}
    try:
        with httpx.Client(base_url=base, headers=headers, timeout=_TIMEOUT_S, trust_env=url is not None) as http:
            yield Remote(http)
    except httpx.InvalidURL as error:
        raise click.ClickException(f"{base} is no address: {error}") from error


def find_project(remote: Remote, wanted: str | None) -> dict[str, Any]:
    """Return the project that an id or a name means, or the only one there is. Raises LookupError."""
    if wanted is not None and _is_id(wanted):
        project: dict[str, Any] = remote.call("GET", f"/api/projects/{wanted}")["project"]
        return project
    visible = remote.items("/api/projects", **({"search": wanted} if wanted else {}))
    found = [each for each in visible if wanted is None or each["name"] == wanted]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{each['name']} ({each['id']})" for each in found[:10])
    if wanted is None:
        raise LookupError(f"Say which project with --project: {listed}" if found else "There is no project yet")
    raise LookupError(f"More than one project is named {wanted!r}: {listed}" if found else f"No project {wanted!r}")


def _key(settings: Settings, url: str | None) -> str:
    """Return the key of the environment, or make one for some minutes where the database is this machine's.

    The admin key belongs to this machine's installation and is not sent to any other address.
    """
    if os.environ.get(KEY_VARIABLE):
        return os.environ[KEY_VARIABLE]
    if url is not None:
        raise click.ClickException(f"Set {KEY_VARIABLE} to a key of {url}")
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    with opened_database(settings) as database, database.transaction() as session:
        expires = datetime.now(UTC) + _KEY_LIFE
        return issue_key(session, name="pilothouse command", scopes=("read", "write"), expires_at=expires)


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _refusal(answer: httpx.Response) -> Refused:
    try:
        problem = answer.json()
        errors = tuple((each["field"], each["message"]) for each in problem.get("errors") or ())
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError, AttributeError):
        errors, detail = (), answer.text[:300] or answer.reason_phrase
    fields = "; ".join(f"{field}: {message}" for field, message in errors)
    return Refused(f"{detail} ({answer.status_code})" + (f": {fields}" if fields else ""), errors)
