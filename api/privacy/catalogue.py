"""The types of personal data, read from `data/pii_types.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

Kind = Literal["value", "context", "column"]


@dataclass(frozen=True)
class PiiType:
    """A type of personal data: what it is, what finds it, and what is done with it where a policy says nothing else.

    `detector` is "value" (recognised by itself), "context" (form and column name together) or "column" (only an
    explicit column map or a telling column name gives it; only the map where `columns` is empty).
    """

    name: str
    title: str
    category: str
    description: str
    example: str
    detector: Kind
    action: str
    config: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()

    @property
    def is_map_only(self) -> bool:
        """Tell whether nothing but an explicit column map can give this type."""
        return self.detector == "column" and not self.columns


def _read_catalogue() -> Mapping[str, PiiType]:
    text = files("api.privacy").joinpath("data/pii_types.toml").read_text(encoding="utf-8")
    tables: dict[str, dict[str, Any]] = tomllib.loads(text)
    return MappingProxyType({name: _read_type(name, table) for name, table in tables.items()})


def _read_type(name: str, table: dict[str, Any]) -> PiiType:
    return PiiType(name=name, **{**table, "columns": tuple(table.get("columns", ()))})


CATALOGUE: Mapping[str, PiiType] = _read_catalogue()
