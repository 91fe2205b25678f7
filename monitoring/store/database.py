"""Connections and transactions. The only module that commits."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from weakref import WeakSet

import psycopg
from sqlalchemy import URL, Engine, event, make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session, create_engine

from monitoring.store.errors import NoAnswer

# What is raised while the server does not answer, as opposed to answering that something is wrong.
AWAY: tuple[type[Exception], ...] = (
    OperationalError,
    InterfaceError,
    PoolTimeout,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    NoAnswer,
)
_CONNECT_TIMEOUT_S = 3


def sqlalchemy_url(url: str) -> URL:
    """Return the URL with the psycopg driver named, whatever scheme (`postgres://`, `postgresql://`) it came with."""
    scheme, _, rest = url.partition("://")
    if scheme.split("+")[0] not in {"postgres", "postgresql"}:
        raise ValueError(f"The database must be PostgreSQL, not {scheme!r}")
    return make_url(f"postgresql+psycopg://{rest}")


def psycopg_url(url: str) -> str:
    """Return the URL as libpq and ADBC take it, without a driver name."""
    return sqlalchemy_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def cut(connected: int) -> None:
    """Break a connection (by its file descriptor) whose other end is silent: who waits on it gets an error at once."""
    with socket.socket(fileno=os.dup(connected)) as ours, suppress(OSError):
        ours.shutdown(socket.SHUT_RDWR)


class Database:
    """An engine and the one way to use it: `with database.transaction() as session`."""

    def __init__(self, url: str, *, pool_size: int = 5, pool_timeout_s: float = 10) -> None:
        """Connect when it is needed; who finds all connections taken waits up to `pool_timeout_s` for one."""
        self.url = psycopg_url(url)
        self.engine: Engine = create_engine(
            sqlalchemy_url(url),
            pool_size=pool_size,
            max_overflow=5,
            pool_pre_ping=True,
            pool_timeout=pool_timeout_s,
            hide_parameters=True,  # an error's text goes to the log, and a statement's values may be secrets
            connect_args={
                "options": "-c TimeZone=UTC",  # times come back in UTC, whatever the server's own zone
                "connect_timeout": _CONNECT_TIMEOUT_S,
                "keepalives_idle": 10,
                "tcp_user_timeout": 10_000,
            },
        )
        self._connections: WeakSet[psycopg.Connection] = WeakSet()
        self._lock = threading.Lock()
        event.listen(self.engine, "connect", self._connected)

    def _connected(self, connection: psycopg.Connection, _: object) -> None:
        with self._lock:
            self._connections.add(connection)

    def cut_all(self) -> None:
        """Break every connection, for a server that has gone silent: threads that wait for it get OperationalError."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with suppress(psycopg.Error, OSError):
                cut(connection.fileno())

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session; commit when the block ends, roll back when it raises."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
