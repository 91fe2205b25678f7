"""The database as a command uses it: opened, closed, and its errors in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import SQLAlchemyError

from api.settings import Settings
from monitoring.store.database import Database


@contextmanager
def opened_database(settings: Settings) -> Iterator[Database]:
    """Yield the installation's database. Raises ClickException when it cannot be reached or refuses."""
    database = Database(settings.resolved_database_url(), pool_size=1)
    try:
        yield database
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).strip()
        raise click.ClickException(f"The database does not answer as it should: {said}") from error
    finally:
        database.close()
