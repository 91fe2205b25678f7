"""`pilothouse restore`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from api.cli.backup.home_files import check_home, write_files
from api.cli.backup.progress import bar
from api.cli.errors import expected, read_settings
from api.cli.opened_database import database_at
from api.settings import Settings
from api.supervisor.brief_server import brief_server, locked_home
from api.supervisor.databases import ensure_database
from api.supervisor.home import Home
from monitoring.store.restoring import Backup, opened_backup, require_empty


@click.command("restore")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--verify-only", is_flag=True, help="Read the file and compare it with its checksums; restore nothing.")
@expected
def restore_command(*, path: Path, verify_only: bool) -> None:
    """Restore a backup into an empty home or database.

    The file is verified first. The database is filled in one transaction: after a failure it is empty as before. Then
    `pilothouse up`; keys, models, deployments and the log are as they were, and messages that had not left yet, leave.
    """
    began = time.monotonic()
    with opened_backup(path) as backup:
        with bar("Verify") as tell:
            backup.verify(tell)
        if not verify_only:
            _restore(read_settings(), backup)
        manifest = backup.manifest
    done = "verified" if verify_only else "restored"
    click.echo(
        f"{len(manifest.tables)} tables, {manifest.rows:,} rows of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC "
        f"{done} in {time.monotonic() - began:.1f} s"
    )


def _restore(settings: Settings, backup: Backup) -> None:
    home = Home(settings.home)
    with locked_home(home), _server(settings, home) as url, database_at(url) as database:
        with database.transaction() as session:
            require_empty(session)
        check_home(settings, backup)
        write_files(home.root, backup)  # first: were it last, a crash could leave the database without its key
        with bar("Restore") as tell:
            backup.load(database, tell)


@contextmanager
def _server(settings: Settings, home: Home) -> Iterator[str]:
    """Yield the address of the database to fill: the one that the setting names, else the embedded one."""
    if settings.database_url:
        ensure_database(settings.database_url, setting="PILOTHOUSE_DATABASE_URL")
        yield settings.database_url
        return
    with brief_server(home) as url:
        yield url
