"""Addresses: of hosts, databases and sockets."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from api.supervisor.databases import asyncpg_url, prefect_database_url, shown_url
from api.supervisor.ports import is_loopback, reachable_host
from api.supervisor.postgres import _socket_folder


@pytest.mark.parametrize(
    ("listened", "reached"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("10.1.2.3", "10.1.2.3"),
        ("localhost", "localhost"),
    ],
)
def test_a_wildcard_is_reached_on_loopback(listened: str, reached: str) -> None:
    assert reachable_host(listened) == reached


def test_loopback() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org"))  # noqa: S104


def test_prefects_database_is_beside_ours() -> None:
    url = prefect_database_url("postgres://u:p%40ss@db:5433/pilot?sslmode=require")
    assert url == "postgresql://u:p%40ss@db:5433/pilot_prefect?sslmode=require"


def test_asyncpg_gets_only_what_it_knows() -> None:
    given = "postgresql://u:p%40ss@db:5433/pilot?sslmode=require&application_name=x&connect_timeout=3"
    url = make_url(asyncpg_url(given))
    assert (url.drivername, url.password, url.host, url.port) == ("postgresql+asyncpg", "p@ss", "db", 5433)
    assert dict(url.query) == {"ssl": "require"}
    socket = make_url(asyncpg_url("postgresql://postgres@/pilothouse?host=/srv/pg/run"))
    assert dict(socket.query) == {"host": "/srv/pg/run"}


def test_a_shown_url_hides_the_password() -> None:
    assert "secret" not in shown_url("postgresql://u:secret@db/pilot")


def test_the_socket_is_beside_the_data_unless_its_path_would_not_do() -> None:
    assert _socket_folder(Path("/srv/pilothouse/postgres")) == Path("/srv/pilothouse/postgres/run")
    for unfit in (Path("/srv") / ("x" * 100), Path("/srv/a b/postgres"), Path("/srv/a,b"), Path("/srv/größe")):
        folder = _socket_folder(unfit)
        assert len(str(folder / ".s.PGSQL.5432").encode()) <= 103
        assert folder != _socket_folder(unfit / "other")
        assert unfit not in folder.parents
