"""`pilothouse status`."""

import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import click
import httpx
import psutil

from api.cli.errors import expected, read_settings
from api.cli.tables import print_table
from api.settings import Settings
from api.supervisor.home import Home
from api.supervisor.probes import answers
from api.supervisor.state import read_state

_PROBES = {"api": "/health/live", "prefect": "/api/health"}
_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class PartStatus:
    """One part as it is now: `ready` is the supervisor's word, checked."""

    name: str
    state: str
    pid: int | None
    address: str | None
    since: str
    restarts: int
    log: str | None


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@expected
def status_command(*, as_json: bool) -> None:
    """Show each part's state. Exits with 0 when all are ready, with 1 otherwise."""
    settings = read_settings()
    home = Home(settings.home)
    state = read_state(home)
    parts = [_checked(part, settings) for part in state["parts"]] if state else []
    ready = bool(parts) and all(part.state in {"ready", "done"} for part in parts)
    if as_json:
        supervisor = state["supervisor"]["pid"] if state else None
        listed = [asdict(part) for part in parts]
        shown = {"home": str(home.root), "running": state is not None, "supervisor_pid": supervisor, "ready": ready}
        click.echo(json.dumps({**shown, "parts": listed}, indent=2))
    elif state is None:
        click.echo(f"Pilothouse does not run on {home.root}", err=True)
    else:
        _print(parts, state)
    sys.exit(0 if ready else 1)


def _checked(part: dict[str, Any], settings: Settings) -> PartStatus:
    """Ask the part itself: what the supervisor wrote may be seconds old."""
    state = part["state"]
    if state == "ready" and not _answers(part, settings):
        state = "not answering"
    since = datetime.fromtimestamp(part["since"], UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return PartStatus(part["name"], state, part["pid"], part["address"], since, part["restarts"], part["log"])


def _answers(part: dict[str, Any], settings: Settings) -> bool:
    if part["name"] in _PROBES:
        try:
            url = f"{part['address']}{_PROBES[part['name']]}"
            return httpx.get(url, timeout=_TIMEOUT_S, trust_env=False).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False
    if part["name"] == "postgres":
        return answers(settings.resolved_database_url())
    return part["pid"] is not None and psutil.pid_exists(part["pid"])


def _print(parts: list[PartStatus], state: dict[str, Any]) -> None:
    rows = [
        (part.name, part.state, str(part.pid or ""), part.since, str(part.restarts or ""), part.address or "")
        for part in parts
    ]
    print_table(("Part", "State", "Pid", "Since", "Restarts", "Address"), rows)
    click.echo(f"Supervisor pid {state['supervisor']['pid']}, database {state['database']}")
