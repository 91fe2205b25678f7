"""What to do so that the server has what the file says: a pure comparison."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from api.cli.rules.document import FileWrong, Path, Problem
from api.cli.rules.present import Present, shown_config
from api.cli.rules.spec import Item, Spec, is_masked

Action = Literal["create", "update", "unchanged", "delete"]
Kind = Literal["channel", "rule"]
_ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """One value that is another in the file; None stands for none."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Change:
    """What happens to one channel or rule. `values` is what to send, channels still by name; it may hold secrets.

    `resends`: the file holds a secret, which cannot be compared with the server's, so it is written again each time.
    `path`: where the file says it, None for a deletion.
    """

    action: Action
    kind: Kind
    name: str
    differences: tuple[Difference, ...] = ()
    id: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    resends: bool = False
    path: Path | None = None

    @property
    def is_written(self) -> bool:
        """Whether the server hears of it."""
        return self.action != "unchanged" or self.resends


@dataclass(frozen=True)
class Plan:
    """Every change in the order to make them: what is pointed at comes first, and goes last."""

    changes: tuple[Change, ...]

    @property
    def differs(self) -> bool:
        """Whether the server has anything else than the file."""
        return any(change.action != "unchanged" for change in self.changes)

    def count(self, action: Action) -> int:
        """Return how many changes are of this kind."""
        return sum(change.action == action for change in self.changes)


def plan(spec: Spec, present: Present, *, prune: bool) -> Plan:
    """Compare a file with the server. `prune` deletes what a section of the file does not name.

    Raises FileWrong for names that mean nothing, or more than one thing, on the server.
    """
    comparing = _Comparing(spec, present, prune=prune)
    changes = tuple(comparing.changes())
    if comparing.problems:
        raise FileWrong(spec.document.name, comparing.problems)
    return Plan(changes)


class _Comparing:
    """One comparison; collects problems."""

    def __init__(self, spec: Spec, present: Present, *, prune: bool) -> None:
        self._spec = spec
        self._present = present
        self._prune = prune
        self.problems: list[Problem] = []

    def changes(self) -> Iterator[Change]:
        channels, rules = self._spec.channels or (), self._spec.rules or ()
        for item in channels:
            yield self._channel(item)
        for item in rules:
            yield self._rule(item)
        if self._prune and self._spec.rules is not None:
            yield from self._deletions("rule", self._present.rules, rules)
        if self._prune and self._spec.channels is not None:
            yield from self._deletions("channel", self._present.channels, channels)

    def _channel(self, item: Item) -> Change:
        values = dict(item.values)
        shown = {**values, "config": shown_config(values["type"], values["config"])}
        known = self._present.channels.get(item.name)
        if known is None and is_masked(values["config"]):
            self._add(item, "config", "holds a masked secret, and there is no such channel yet to keep it from")
        if known is not None and known["type"] != values["type"]:
            self._add(
                item, "type", f"stays {known['type']} on the server: give the {values['type']} channel a new name"
            )
        before = self._present.channel_values(item.name) if known else {}
        secret = known is not None and shown["config"] != values["config"]
        return self._change("channel", item, _differences(_flat(before), _flat(shown)), values, resends=secret)

    def _rule(self, item: Item) -> Change:
        values = {**item.values, "deployment": self._deployment_id(item)}
        self._check_channels(item)
        known = item.name in self._present.rules
        before = self._readable(self._present.rule_values(item.name)) if known else {}
        wire = {"deployment_id" if key == "deployment" else key: value for key, value in values.items()}
        return self._change("rule", item, _differences(before, self._readable(values)), wire)

    def _change(
        self,
        kind: Kind,
        item: Item,
        differences: tuple[Difference, ...],
        values: Mapping[str, Any],
        *,
        resends: bool = False,
    ) -> Change:
        known = (self._present.channels if kind == "channel" else self._present.rules).get(item.name)
        action: Action = "create" if known is None else "update" if differences else "unchanged"
        found = None if known is None else known["id"]
        return Change(action, kind, item.name, differences, found, values, resends, item.path)

    def _deployment_id(self, item: Item) -> str | None:
        text = item.values["deployment"]
        if text is None:
            return None
        meant = self._present.deployments_named(text)
        if len(meant) == 1:
            return str(meant[0]["id"])
        ids = ", ".join(each["id"] for each in meant)
        wrong = f"{text!r} is the name of {len(meant)} deployments: give one's id ({ids})"
        self._add(item, "deployment", wrong if meant else f"the project has no deployment {text!r}")
        return None

    def _check_channels(self, item: Item) -> None:
        known = {each.name for each in self._spec.channels or ()}
        pruned = self._prune and self._spec.channels is not None
        for number, name in enumerate(item.values["channels"]):
            if name in known or (name in self._present.channels and not pruned):
                continue
            lost = name in self._present.channels
            self._add(item, "channels", f"--prune would delete {name!r}" if lost else f"no channel {name!r}", number)

    def _readable(self, values: Mapping[str, Any]) -> dict[str, Any]:
        deployment = self._present.deployment_name(values["deployment"])
        return {**values, "channels": sorted(values["channels"]), "deployment": deployment}

    def _deletions(self, kind: Kind, present: Mapping[str, Any], kept: tuple[Item, ...]) -> Iterator[Change]:
        for name in sorted(present.keys() - {item.name for item in kept}):
            yield Change("delete", kind, name, id=present[name]["id"])

    def _add(self, item: Item, key: str, message: str, *deeper: int) -> None:
        self.problems.append(self._spec.document.problem((*item.path, key, *deeper), message))


def _flat(channel: Mapping[str, Any]) -> dict[str, Any]:
    """Put a channel's config beside its other values: `config.url`."""
    own = {key: value for key, value in channel.items() if key != "config"}
    return {**own, **{f"config.{key}": value for key, value in channel.get("config", {}).items()}}


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    keys = dict.fromkeys([*after, *before])
    return tuple(
        Difference(key, before.get(key), after.get(key))
        for key in keys
        if key != "name" and before.get(key, _ABSENT) != after.get(key, _ABSENT)
    )
