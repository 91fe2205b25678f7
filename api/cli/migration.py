"""`pilothouse migrate`."""

import click

from api.cli.errors import expected, read_settings
from api.cli.opened_database import opened_database
from monitoring.store.migrate import migrate


@click.command("migrate")
@expected
def migrate_command() -> None:
    """Bring the database to this version's schema.

    For those who do not use `pilothouse up`, which does it at each start. Safe to repeat and to run twice at once.
    """
    with opened_database(read_settings()) as database:
        migrate(database)
    click.echo("The database is up to date")
