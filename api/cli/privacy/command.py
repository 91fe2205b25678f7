"""`pilothouse privacy`."""

import click

from api.cli.privacy.rotation import rotate_command
from api.cli.privacy.scan import scan_command


@click.group("privacy")
def privacy_group() -> None:
    """Personal data: find it in files, change the key it is hashed with."""


privacy_group.add_command(scan_command)
privacy_group.add_command(rotate_command)
