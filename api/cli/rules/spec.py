"""What a rules file may say, checked as far as that goes without the server."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import msgspec
from msgspec import NODEFAULT
from msgspec.structs import FieldInfo, fields

from api.cli.rules.document import Document, FileWrong, Path, Problem
from api.errors import Invalid
from api.schemas.alert_rules import AlertRuleCreate
from api.schemas.channels import ChannelCreate
from api.schemas.common import Name
from notifications.channels import MASK, ConfigRefused, check_config

Keys = Mapping[str, FieldInfo]
_FILE: Keys = {
    "project": FieldInfo("project", "project", Name | None, default=None),
    "channels": FieldInfo("channels", "channels", list[Any] | None, default=None),
    "rules": FieldInfo("rules", "rules", list[Any] | None, default=None),
}
CHANNEL: Keys = {each.name: each for each in fields(ChannelCreate)}
# those of the API, but a deployment by name or id, and channels by name
RULE: Keys = {
    "name": FieldInfo("name", "name", Name),
    "deployment": FieldInfo("deployment", "deployment", Name | None, default=None),
    **{each.name: each for each in fields(AlertRuleCreate) if each.name not in {"name", "deployment_id"}},
    "channels": FieldInfo("channels", "channels", list[Name]),
}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BOUND = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_INDEX = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class Item:
    """A channel or a rule of the file: every key with its value, defaults filled in."""

    path: Path
    values: Mapping[str, Any] = field(repr=False)  # a channel's may hold secrets

    @property
    def name(self) -> str:
        """The name it is known by in its project."""
        return str(self.values["name"])


@dataclass(frozen=True)
class Spec:
    """A rules file that makes sense. A section that is not in it is None: the server's is then left alone."""

    document: Document
    project: str | None
    channels: tuple[Item, ...] | None
    rules: tuple[Item, ...] | None


def read_spec(document: Document, environment: Mapping[str, str]) -> Spec:
    """Check a document; `${NAME}` in a channel's config is read from the environment. Raises FileWrong."""
    reading = _Reading(document, environment)
    spec = reading.spec()
    if reading.problems:
        raise FileWrong(document.name, reading.problems)
    return spec


def is_masked(value: Any) -> bool:  # noqa: ANN401 - any YAML value
    """Say whether somewhere in a channel's config stands a mask, as the server shows it, in place of a secret."""
    if isinstance(value, Mapping):
        return any(is_masked(each) for each in value.values())
    return isinstance(value, str) and (value == MASK or value.endswith("/…"))


class _Reading:
    """One reading of a document; collects problems."""

    def __init__(self, document: Document, environment: Mapping[str, str]) -> None:
        self._document = document
        self._environment = environment
        self.problems: list[Problem] = []

    def spec(self) -> Spec:
        top = self._fields((), self._document.value, _FILE)
        channels, rules = top.get("channels"), top.get("rules")
        if not self.problems and channels is None and rules is None:
            self._add((), "has neither `channels` nor `rules`")
        return Spec(
            self._document,
            top.get("project"),
            None if channels is None else self._items("channels", channels, CHANNEL),
            None if rules is None else self._items("rules", rules, RULE),
        )

    def _items(self, section: str, values: list[Any], keys: Keys) -> tuple[Item, ...]:
        items: dict[str, Item] = {}
        for number, value in enumerate(values):
            before = len(self.problems)
            item = Item((section, number), self._fields((section, number), value, keys))
            if len(self.problems) > before:
                continue
            item = self._checked_channel(item) if keys is CHANNEL else self._checked_rule(item)
            if items.setdefault(item.name, item) is not item:
                self._add(
                    (section, number, "name"), f"{item.name!r} is the name of {section}[{items[item.name].path[1]}]"
                )
        return tuple(items.values())

    def _fields(self, path: Path, value: Any, keys: Keys) -> dict[str, Any]:  # noqa: ANN401
        """Return each key's value, defaults filled in; note every key that is wrong."""
        if not isinstance(value, dict):
            self._add(path, "must be a mapping of keys to values")
            return {}
        for key in value.keys() - keys.keys():
            meant = difflib.get_close_matches(key, keys, n=1)
            self._add((*path, key), f"is not a known key{f': did you mean {meant[0]}?' if meant else ''}")
        found = {}
        for name, key in keys.items():
            if name in value:
                found[name] = self._converted((*path, name), value[name], key.type)
            elif key.default is NODEFAULT:
                self._add(path, f"lacks the key {name!r}")
            else:
                found[name] = key.default
        return found

    def _converted(self, path: Path, value: Any, wanted: Any) -> Any:  # noqa: ANN401
        try:
            return msgspec.convert(value, wanted)
        except msgspec.ValidationError as error:
            text = str(error)
            where = _BOUND.search(text)
            steps = tuple(int(step) for step in _INDEX.findall(where["path"])) if where else ()
            choices = [each for each in _flattened(wanted) if isinstance(each, str)]
            told = f"must be one of {', '.join(choices)}" if choices else _BOUND.sub("", text).replace("`", "")
            self._add((*path, *steps), told)
            return None

    def _checked_rule(self, item: Item) -> Item:
        values = {name: value for name, value in item.values.items() if name not in {"channels", "deployment"}}
        try:
            AlertRuleCreate(**values, channels=[]).values()
        except Invalid as refused:
            for error in refused.errors:
                self._add((*item.path, error.field), error.message)
        channels = list(dict.fromkeys(item.values["channels"]))
        return Item(item.path, {**item.values, "channels": channels})

    def _checked_channel(self, item: Item) -> Item:
        path, before = (*item.path, "config"), len(self.problems)
        config = self._filled(item.values["config"], path)
        if len(self.problems) == before and not is_masked(config):
            try:
                config = check_config(item.values["type"], config)
            except ConfigRefused as refused:
                self._add((*path, *refused.field.split(".")), refused.message)
        return Item(item.path, {**item.values, "config": config})

    def _filled(self, value: Any, path: Path) -> Any:  # noqa: ANN401
        """Put the environment's values in for `${NAME}`, so that secrets need not stand in the file."""
        if isinstance(value, dict):
            return {key: self._filled(each, (*path, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [self._filled(each, (*path, number)) for number, each in enumerate(value)]
        return _VARIABLE.sub(lambda found: self._variable(found[1], path), value) if isinstance(value, str) else value

    def _variable(self, name: str, path: Path) -> str:
        if name not in self._environment:
            self._add(path, f"the environment has no {name}")
        return self._environment.get(name, "")

    def _add(self, path: Path, message: str) -> None:
        self.problems.append(self._document.problem(path, message))


def _flattened(wanted: Any) -> list[Any]:  # noqa: ANN401 - a type
    """Return what a type is made of: `Literal["a", "b"] | None` is "a", "b" and None."""
    return [part for inner in get_args(wanted) for part in (_flattened(inner) or [inner])]
