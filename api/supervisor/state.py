"""What `up` leaves for `status`: a small JSON file, rewritten at each change."""

import json
import os
import time
from collections.abc import Sequence
from typing import Any

import psutil

from api.supervisor.home import Home, is_locked, replace_file
from api.supervisor.part import Keeper


def write_state(home: Home, keepers: Sequence[Keeper], *, database: str) -> None:
    """Write the state of every part."""
    parts = [
        {
            "name": keeper.part.name,
            "title": keeper.part.title,
            "state": keeper.state,
            "pid": keeper.pid,
            "address": keeper.part.address,
            "since": keeper.since,
            "restarts": keeper.restarts,
            "log": str(keeper.log),
        }
        for keeper in keepers
    ]
    supervisor = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    state = {"supervisor": supervisor, "database": database, "parts": parts, "written": time.time()}
    replace_file(home.state, json.dumps(state, indent=1))


def read_state(home: Home) -> dict[str, Any] | None:
    """Return what the running `up` wrote, or None when none runs on this home."""
    if not is_locked(home):
        return None
    try:
        state: dict[str, Any] = json.loads(home.state.read_text())
    except (OSError, ValueError):
        return None
    try:
        alive = psutil.Process(state["supervisor"]["pid"]).create_time() == state["supervisor"]["started"]
    except psutil.Error:
        alive = False
    return state if alive else None
