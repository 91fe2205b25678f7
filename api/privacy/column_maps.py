"""Column maps, {column: type}, as deployments and previews give them."""

from collections.abc import Iterable, Mapping

from api.privacy.catalogue import CATALOGUE

_NAMED = 5


def unknown_types(column_map: Mapping[str, str]) -> str | None:
    """Say which types of a column map are none, or return None."""
    unknown = sorted(set(column_map.values()) - CATALOGUE.keys())
    return f"no such type: {_listed(unknown)}; GET /api/privacy/pii-types lists them" if unknown else None


def unknown_columns(column_map: Mapping[str, str], features: Iterable[str]) -> str | None:
    """Say which columns of a column map are no features, or return None."""
    unknown = sorted(column_map.keys() - set(features))
    return f"the model has no such feature: {_listed(unknown)}" if unknown else None


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(map(repr, names[:_NAMED])) + (f" and {more} more" if more > 0 else "")
