"""`pilothouse api`."""

import asyncio
from importlib import import_module

import click

from api.cli.errors import expected, read_settings
from api.supervisor.ports import require_free
from api.team import Team


@click.command("api")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that share the port (PILOTHOUSE_WORKERS, 1).")
@expected
def api_command(*, workers: int | None) -> None:
    """Serve the API alone, for those with a supervisor of their own.

    Listens on PILOTHOUSE_HOST and PILOTHOUSE_PORT; needs a migrated database (`pilothouse migrate`).
    """
    settings = read_settings()
    settings.resolved_database_url()
    require_free(settings.host, settings.port, part="API", setting="PILOTHOUSE_PORT")
    size = workers or settings.workers
    if size == 1:
        import_module("api.worker").serve(settings)  # late: a team's keeper needs none of it
    else:
        asyncio.run(Team(settings, size).run())
