"""`pilothouse migrate`."""

import click

from api.cli.errors import expected, read_settings
from monitoring.store.database import Database
from monitoring.store.migrate import migrate


@click.command("migrate")
@expected
def migrate_command() -> None:
    """Bring the database to this version's schema.

    For those who do not use `pilothouse up`, which does it at each start. Safe to repeat and to run twice at once.
    """
    database = Database(read_settings().resolved_database_url(), pool_size=1)
    try:
        migrate(database)
    finally:
        database.close()
    click.echo("The database is up to date")
