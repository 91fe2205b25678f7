"""`pilothouse api`."""

import click
import uvicorn

from api.app import create_app
from api.cli.errors import expected, read_settings
from api.supervisor.ports import require_free

_STOP_TIMEOUT_S = 8


@click.command("api")
@expected
def api_command() -> None:
    """Serve the API alone, for those with a supervisor of their own.

    Listens on PILOTHOUSE_HOST and PILOTHOUSE_PORT; needs a migrated database (`pilothouse migrate`).
    """
    settings = read_settings()
    require_free(settings.host, settings.port, part="API", setting="PILOTHOUSE_PORT")
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_TIMEOUT_S,
    )
    uvicorn.Server(config).run()
