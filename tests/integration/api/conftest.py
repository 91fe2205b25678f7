"""Fixtures of the API's tests: a real app on the test's database, a client, and keys."""

import ssl
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
from litestar import Litestar
from sqlalchemy import make_url

from api.app import create_app
from api.settings import Settings
from monitoring.store.database import Database
from monitoring.store.keys import create_key
from tests.integration.api.serving import served

MakeKey = Callable[..., str]
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # else each client reads all of them, to speak plain HTTP


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of an installation of this test's own; nothing listens where Prefect should be."""
    return Settings(home=tmp_path / "home", database_url=database_url, prefect_port=9)


@pytest.fixture
def app(settings: Settings) -> Litestar:
    """The application, not yet started."""
    return create_app(settings)


@pytest.fixture
def base_url(app: Litestar) -> Iterator[str]:
    """The address of the application, served."""
    with served(app) as url:
        yield url


@pytest.fixture
def make_key(database: Database) -> MakeKey:
    """Return a function that makes a key: `make_key("read", "write", project=project_id)`."""

    def make(*scopes: str, project: uuid.UUID | str | None = None) -> str:
        project_id = uuid.UUID(str(project)) if project else None
        with database.transaction() as session:
            return create_key(session, name="test", scopes=scopes or ("admin",), project_id=project_id)[1]

    return make


@pytest.fixture
def admin_key(make_key: MakeKey) -> str:
    """A key that may do everything everywhere."""
    return make_key("admin")


@pytest.fixture
def client(base_url: str, admin_key: str) -> Iterator[httpx.Client]:
    """A client that calls as admin."""
    with client_of(base_url, admin_key) as opened:
        yield opened


@pytest.fixture
def project_id(client: httpx.Client) -> str:
    """A project made over HTTP."""
    return str(client.post("/api/projects", json={"name": "Fraud"}).raise_for_status().json()["project_id"])


def client_of(base_url: str, key: str | None = None) -> httpx.Client:
    """Return a client that sends `key`."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=base_url, headers=headers, timeout=60, verify=_NO_AUTHORITIES)


@dataclass(frozen=True)
class Installation:
    """A served installation that several tests share."""

    app: Litestar
    database: Database
    base_url: str
    admin_key: str


@pytest.fixture(scope="module")
def module_database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """The URL of a migrated database that lives as long as the test module."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template_database}")
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def installed(database_url: str, home: Path) -> Iterator[Installation]:
    """Serve an installation on a database that is there already."""
    database = Database(database_url)
    with database.transaction() as session:
        key = create_key(session, name="admin", scopes=["admin"])[1]
    app = create_app(Settings(home=home, database_url=database_url, prefect_port=9))
    with served(app) as url:
        yield Installation(app, database, url, key)
    database.close()
