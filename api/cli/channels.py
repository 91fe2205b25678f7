"""`pilothouse channels`."""

import json
import sys
from typing import Any

import click

from api.cli.errors import expected, read_settings
from api.cli.remote import Remote, address_options, connected, find_project
from api.cli.rules.rendering import shown
from api.cli.tables import print_table


@click.group("channels")
def channels_group() -> None:
    """The channels that notices go to. `pilothouse rules apply` makes and changes them."""


@channels_group.command("list")
@address_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@expected
def list_command(*, url: str | None, project: str | None, as_json: bool) -> None:
    """Show a project's channels, secrets masked."""
    with connected(read_settings(), url) as remote:
        found = _channels(remote, project)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    rows = [
        (each["name"], each["type"], "" if each["is_enabled"] else "disabled", shown(each["config"])) for each in found
    ]
    print_table(("Channel", "Type", "", "Config"), sorted(rows))


@channels_group.command("test")
@click.argument("name")
@address_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@expected
def test_command(*, name: str, url: str | None, project: str | None, as_json: bool) -> None:
    """Send a test message by a channel and show what became of it. Exits with 1 unless all of it was sent."""
    with connected(read_settings(), url) as remote:
        meant = [each for each in _channels(remote, project) if name in {each["name"], each["id"]}]
        if not meant:
            raise LookupError(f"The project has no channel {name!r}; `pilothouse channels list` shows them")
        tested = remote.call("POST", f"/api/mlops/channels/{meant[0]['id']}/test")
    if as_json:
        click.echo(json.dumps(tested, indent=2))
    else:
        print_table(("To", "State", "Answer"), [delivery_row(each) for each in tested["deliveries"]])
    sys.exit(0 if tested["ok"] else 1)


def delivery_row(delivery: dict[str, Any]) -> tuple[str, str, str]:
    """Return where a delivery goes, what became of it, and what the receiver said."""
    target = delivery["target"] or delivery["channel_name"]
    return f"{delivery['channel_type']} {target}", delivery["state"], delivery["response"] or ""


def _channels(remote: Remote, project: str | None) -> list[dict[str, Any]]:
    return remote.items(f"/api/mlops/projects/{find_project(remote, project)['id']}/channels")
