"""Who calls, and what they may do: bearer keys, scopes and project bounds."""

import asyncio
import base64
import hmac
import math
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from api.errors import Forbidden, NotAuthenticated, Unavailable
from api.lease import steady_clock
from api.request import ApiRequest
from api.scoring.flights import Flights
from monitoring.store.database import AWAY, Database
from monitoring.store.errors import NotFound
from monitoring.store.keys import find_key, parse_key, secret_sha256

_CACHE_S = 10.0
_OUTAGE_S = 2 * 3600.0
_PATIENCE_S, _SILENCE_S = 2.0, 1.0
_READERS = 2
_SILENT: tuple[type[Exception], ...] = (*AWAY, TimeoutError)
_CACHE_KEYS = 10_000


@dataclass(frozen=True)
class Principal:
    """The key behind a request."""

    key_id: str
    scopes: frozenset[str]
    project_id: uuid.UUID | None

    def may(self, scope: str) -> bool:
        """Say whether the key holds a scope; `admin` holds them all."""
        return scope in self.scopes or "admin" in self.scopes

    def require_project(self, project_id: uuid.UUID, *, kind: str = "project", identifier: object = None) -> None:
        """Raise NotFound for `kind` when the key is bound to another project: what it may not see is not there."""
        if self.project_id is not None and self.project_id != project_id:
            raise NotFound(kind, identifier or project_id)

    def require_all_projects(self) -> None:
        """Raise Forbidden when the key is bound to one project."""
        if self.project_id is not None:
            raise Forbidden(f"This API key belongs to project {self.project_id} and may not do this")


@dataclass(frozen=True)
class _CachedKey:
    secret_sha256: bytes
    principal: Principal
    expires_at: datetime | None
    checked_at: float


class KeyRing:
    """Checks keys against the database, remembering good ones for a few seconds.

    While the database does not answer, a key counts that was good at its last check, up to two hours ago.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = steady_clock) -> None:
        self._database = database
        self.clock = clock
        self._cached: dict[str, _CachedKey] = {}
        self._forgettings = 0
        self._doubted_at = -math.inf
        self._silent_until = -math.inf
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="key-reader")
        self._loads = Flights(self._readers, self._load)

    def close(self) -> None:
        """Stop reading."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    def forget(self, key_id: str | None = None) -> None:
        """Drop one remembered key, so that a revocation counts at once; or check all anew before their next use."""
        self._forgettings += 1
        if key_id is None:
            self._doubted_at = self.clock()
        else:
            self._cached.pop(key_id, None)

    async def authenticate(self, authorization: str | None, *, basic: bool = False) -> Principal:
        """Return the caller of an Authorization header.

        Raises NotAuthenticated, or Unavailable for a key never seen while the database does not answer. With
        `basic` the key may also come as the password of HTTP basic authentication: what a browser's prompt sends.
        """
        key_id, secret = _key_of(authorization, basic=basic)
        known = self._cached.get(key_id)
        if known is None or not self._is_fresh(known):
            known = await self._check(key_id)
        if known is None or not hmac.compare_digest(known.secret_sha256, secret_sha256(secret)):
            raise NotAuthenticated("This API key is not known")
        if known.expires_at is not None and known.expires_at <= datetime.now(UTC):
            raise NotAuthenticated("This API key has expired")
        return known.principal

    def _is_fresh(self, known: _CachedKey) -> bool:
        return known.checked_at > self._doubted_at and self.clock() - known.checked_at < _CACHE_S

    async def _check(self, key_id: str) -> _CachedKey | None:
        if self.clock() < self._silent_until:
            return self._by_memory(key_id)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._loads.join_fresh(key_id)
        except _SILENT:
            self._silent_until = self.clock() + _SILENCE_S
            return self._by_memory(key_id)

    def _by_memory(self, key_id: str) -> _CachedKey:
        known = self._cached.get(key_id)
        if known is None or self.clock() - known.checked_at > _OUTAGE_S:
            raise Unavailable("The database does not answer just now, so this API key cannot be checked")
        return known

    def _load(self, key_id: str) -> _CachedKey | None:
        """Read a key; one read while another thread revoked something is used once and not remembered."""
        forgettings, asked_at = self._forgettings, self.clock()
        with self._database.transaction() as session:
            row = find_key(session, key_id)
        if row is None or row.revoked_at is not None:
            self._cached.pop(key_id, None)
            return None
        known = _CachedKey(
            secret_sha256=row.secret_sha256,
            principal=Principal(key_id=row.id, scopes=frozenset(row.scopes), project_id=row.project_id),
            expires_at=row.expires_at,
            checked_at=asked_at,
        )
        if len(self._cached) >= _CACHE_KEYS:
            self._cached.clear()
        if forgettings == self._forgettings:
            self._cached[key_id] = known
        return known


def _key_of(authorization: str | None, *, basic: bool) -> tuple[str, str]:
    scheme, _, text = (authorization or "").partition(" ")
    parsed = None
    if scheme.lower() == "bearer":
        parsed = parse_key(text.strip())
    elif basic and scheme.lower() == "basic":
        parsed = parse_key(_basic_password(text.strip()))
    if parsed is None:
        raise NotAuthenticated("Send an API key: `Authorization: Bearer pk_...`")
    return parsed


def _basic_password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


type_guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Coroutine[Any, Any, None]]


def requires(scope: str) -> type_guard:
    """Return the guard that lets a request pass when its key holds `scope`, and notes who calls in `scope["user"]`."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        # A browser repeats basic credentials by itself, also for requests that other sites make it send: reading only.
        principal = await connection.app.state.key_ring.authenticate(
            connection.headers.get("authorization"), basic=connection.scope.get("method") == "GET"
        )
        if not principal.may(scope):
            raise Forbidden(f"This API key lacks the scope `{scope}`")
        connection.scope["user"] = principal

    guard.__pilothouse_scope__ = scope  # type: ignore[attr-defined]
    return guard


def provide_principal(request: ApiRequest) -> Principal:
    """Give a handler the caller that the guard found."""
    principal: Principal = request.scope["user"]
    return principal
