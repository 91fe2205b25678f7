"""`pilothouse backup`."""

import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click

from api.cli.backup.home_files import OpenedFiles, key_fingerprint
from api.cli.backup.progress import bar
from api.cli.errors import expected, read_settings
from api.cli.opened_database import database_at
from api.supervisor.brief_server import running_database
from monitoring.store.dump import Dump


@click.command("backup")
@click.argument("path", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@expected
def backup_command(*, path: Path) -> None:
    """Write everything into one file while everything keeps running.

    \b
    In it: every table (models, keys hashed as they are, the log, rollups, rules, alerts, audit), the
    privacy key of the home, and rows that wait in its spool. All of one instant.
    Not in it: Prefect's database (flow deployments are registered anew, past flow runs are lost), settings,
    a PILOTHOUSE_PRIVACY_KEY, spools of other machines.

    Keep the file as you keep passwords: who has it has the privacy key and the channels' secrets.
    """
    began = time.monotonic()
    settings = read_settings()
    with (
        running_database(settings) as url,
        database_at(url) as database,
        OpenedFiles(settings.home) as files,
        bar("Backup") as tell,
    ):
        dump = Dump(database, files, release=version("pilothouse"), now=datetime.now(UTC))
        manifest = dump.write(path, privacy_key=key_fingerprint(settings), tell=tell)
    size = path.stat().st_size / 2**20
    took = time.monotonic() - began
    click.echo(f"{len(manifest.tables)} tables, {manifest.rows:,} rows, {size:,.1f} MiB in {took:.1f} s: {path}")
