"""Where raw values fall in a model's frozen bins: what drift needs of a value before it is masked.

The same as `monitoring.bins` counts, in plain Python for single rows: the predict path loads no Polars.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Place = int | str
PlaceOf = Callable[[Any], Place]


class RowBins:
    """Places values by the features of a reference profile (its JSON); immutable, so threads share it."""

    def __init__(self, features: Sequence[Mapping[str, Any]]) -> None:
        self._place_of: dict[str, PlaceOf] = {
            feature["name"]: _numeric(feature["edges"])
            if "edges" in feature
            else _categorical([*feature["labels"], *feature["others"]])
            for feature in features
        }

    def places(self, row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Place]:
        """Return the bins of those of the named values that are features: a number's place, or what a label is."""
        place_of = self._place_of
        return {name: place_of[name](row.get(name)) for name in names if name in place_of}


def _numeric(edges: Sequence[float]) -> PlaceOf:
    """Bin i holds edges[i-1] < value <= edges[i]; behind the last come missing and unseen."""
    cuts = [float(edge) for edge in edges]
    missing, unseen = len(cuts) + 1, len(cuts) + 2

    def place(value: float | None) -> Place:
        if value is None:
            return missing
        number = float(value)
        if math.isfinite(number):
            return bisect_left(cuts, number)
        return missing if math.isnan(number) else unseen

    return place


def _categorical(labels: Iterable[str]) -> PlaceOf:
    known = frozenset(labels)

    def place(value: str | None) -> Place:
        if value is None:
            return "missing"
        return "known" if value in known else "unseen"

    return place
