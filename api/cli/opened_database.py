"""The database as a command uses it: opened, closed, and its errors in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
import psycopg
from sqlalchemy.exc import SQLAlchemyError

from api.settings import Settings
from monitoring.store.database import Database


@contextmanager
def opened_database(settings: Settings) -> Iterator[Database]:
    """Yield the installation's database. Raises ClickException when it cannot be reached or refuses."""
    with database_at(settings.resolved_database_url()) as database:
        yield database


@contextmanager
def database_at(url: str) -> Iterator[Database]:
    """Yield the database of an address. Raises ClickException when it cannot be reached or refuses."""
    database = Database(url, pool_size=1)
    try:
        yield database
    except (SQLAlchemyError, psycopg.Error) as error:
        raise click.ClickException(f"The database does not answer as it should: {_said(error)}") from error
    finally:
        database.close()


def _said(error: SQLAlchemyError | psycopg.Error) -> str:
    """Return what the server said, without the line of the statement or data that it quotes."""
    found = getattr(error, "orig", None) or error
    primary = found.diag.message_primary if isinstance(found, psycopg.Error) else None
    return str(primary or found).strip()
