"""The `pilothouse` command."""

import click

from api.cli.serve import api_command, migrate_command, version_command
from api.cli.up import up_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Deploy H2O models behind an endpoint and watch over them.

    \b
    Start here:   pilothouse up --demo
    Settings are environment variables: PILOTHOUSE_HOME, PILOTHOUSE_PORT, PILOTHOUSE_HOST, ...
    """


for _command in (up_command, api_command, migrate_command, version_command):
    main.add_command(_command)


if __name__ == "__main__":
    main()
