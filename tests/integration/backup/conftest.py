"""An empty database to restore into, and the command line of an installation."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import make_url

from tests.integration.serving.conftest import (  # noqa: F401 - fixtures
    add_model,
    admin_key,
    app,
    base_url,
    client,
    deploy,
    make_key,
    project_id,
    settings,
)


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    """The URL of a database without any table."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
