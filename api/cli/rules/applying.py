"""Makes a plan's changes, one after the other, and says exactly how far it came."""

from collections.abc import Callable, Mapping
from typing import Any

from api.cli.remote import Refused, Remote
from api.cli.rules.plan import Change, Plan
from api.cli.rules.present import Present

_SECTION = {"channel": "channels", "rule": "alert-rules"}


class Stopped(RuntimeError):
    """The server refused a change: those before it are made, it and those after it are not."""

    def __init__(self, change: Change, refused: Refused, *, made: int, left: int) -> None:
        super().__init__(
            f"{change.action} {change.kind} {change.name!r} was refused: {refused}. "
            f"{made} change{'' if made == 1 else 's'} before it made, {left} after it not tried"
        )
        self.change = change
        self.refused = refused


def apply(remote: Remote, project_id: str, plan: Plan, present: Present, *, told: Callable[[Change], None]) -> None:
    """Make the changes in order, telling each one that is made. Raises Stopped at the first that is refused."""
    channel_ids = present.channel_ids()
    todo = [change for change in plan.changes if change.is_written]
    for number, change in enumerate(todo):
        try:
            answer = _make(remote, project_id, change, channel_ids)
        except Refused as refused:
            raise Stopped(change, refused, made=number, left=len(todo) - number - 1) from refused
        if change.kind == "channel" and answer is not None:
            channel_ids[change.name] = answer["id"]
        told(change)


def _make(remote: Remote, project_id: str, change: Change, channel_ids: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    section = _SECTION[change.kind]
    if change.action == "delete":
        return remote.call("DELETE", f"/api/mlops/{section}/{change.id}")
    body = dict(change.values)
    if change.kind == "rule":
        body["channels"] = [channel_ids[name] for name in change.values["channels"]]
    if change.action == "create":
        return remote.call("POST", f"/api/mlops/projects/{project_id}/{section}", body)
    return remote.call("PUT", f"/api/mlops/{section}/{change.id}", body)
