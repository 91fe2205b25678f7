"""Frozen bins: how a reference is cut into bins once, and how later values are counted into them.

Every count array ends with two bins: `missing` (null or NaN), and `unseen`: for a category, a label neither in the
reference nor known to the model; for a number, a value that is present but is no finite number. A finite number
outside the reference's range belongs to the open bin at that end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

Counts = NDArray[np.int64]

QUANTILE_BINS = 10
TOP_LABELS = 50
MISSING = -2
UNSEEN = -1


@dataclass(frozen=True)
class NumericBins:
    """Open-ended bins of finite numbers: bin i holds edges[i-1] < value <= edges[i]; then missing, unseen."""

    edges: tuple[float, ...]

    @property
    def size(self) -> int:
        """How many counts there are: value bins, missing, unseen."""
        return len(self.edges) + 3

    @property
    def names(self) -> list[str]:
        """What each count is called in charts and tables."""
        ends = [f"{edge:.6g}" for edge in self.edges]
        if not ends:
            return ["any number", "missing", "unseen"]
        inner = [f"{low} to {high}" for low, high in pairwise(ends)]
        return [f"up to {ends[0]}", *inner, f"above {ends[-1]}", "missing", "unseen"]

    def positions(self, values: pl.Series) -> NDArray[np.intp]:
        """Return for each value the index of its count."""
        numbers = values.cast(pl.Float64).to_numpy()
        found = np.searchsorted(np.asarray(self.edges), numbers, side="left")
        finite = np.isfinite(numbers)
        if not finite.all():
            found[~finite] = self.size + UNSEEN
            found[np.isnan(numbers)] = self.size + MISSING
        return found

    def count(self, values: pl.Series) -> Counts:
        """Return how many of the values fall in each bin."""
        return np.bincount(self.positions(values), minlength=self.size).astype(np.int64)


@dataclass(frozen=True)
class LabelBins:
    """A bin per frequent label; then `other` (known but rarer), missing, unseen."""

    labels: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many counts there are: labels, other, missing, unseen."""
        return len(self.labels) + 3

    @property
    def names(self) -> list[str]:
        """What each count is called in charts and tables."""
        return [*self.labels, "other", "missing", "unseen"]

    @cached_property
    def _place(self) -> dict[str, int]:
        places = dict.fromkeys(self.others, len(self.labels))
        return places | {label: position for position, label in enumerate(self.labels)}

    @cached_property
    def _known(self) -> pl.Enum:
        return pl.Enum(list(self._place))

    def positions(self, values: pl.Series) -> NDArray[np.intp]:
        """Return for each value the index of its count."""
        known = values.cast(pl.String).cast(self._known, strict=False).to_physical()
        places: NDArray[np.intp] = np.array([*self._place.values(), self.size + UNSEEN], dtype=np.intp)
        if known.null_count() == 0:
            return np.take(places, known.to_numpy())
        found = np.take(places, known.fill_null(len(self._place)).to_numpy())
        found[values.is_null().to_numpy()] = self.size + MISSING
        return found

    def count(self, values: pl.Series) -> Counts:
        """Return how many of the values fall in each bin."""
        counts = np.zeros(self.size, dtype=np.int64)
        tally = values.cast(pl.String).alias("label").value_counts(name="rows")
        unseen = self.size + UNSEEN
        for label, rows in zip(tally["label"].to_list(), tally["rows"].to_list(), strict=True):
            counts[self.size + MISSING if label is None else self._place.get(label, unseen)] += rows
        return counts


Bins = NumericBins | LabelBins


def quantile_bins(values: pl.Series, bins: int = QUANTILE_BINS) -> NumericBins:
    """Return bins cut at the quantiles of the finite values (linear between neighbours), each edge once.

    Where the lowest value is itself an edge because it repeats, smaller values get a bin of their own, as larger
    ones than a repeated highest value do; so a constant keeps a bin to itself.
    """
    numbers = values.cast(pl.Float64).to_numpy()
    numbers = numbers[np.isfinite(numbers)]
    if numbers.size == 0:
        return NumericBins(())
    with np.errstate(over="ignore", invalid="ignore"):  # steps between +-1e308, or below it, have no double
        cuts = np.quantile(numbers, np.arange(1, bins) / bins)
        below = np.nextafter(numbers.min(), -np.inf)
    edges = np.unique(cuts[np.isfinite(cuts)])
    if edges.size and edges[0] == numbers.min() and np.isfinite(below):
        edges = np.concatenate([[below], edges])
    return NumericBins(tuple(float(edge) for edge in edges))


def label_bins(values: pl.Series, domain: Iterable[str] | None = None, top: int = TOP_LABELS) -> LabelBins:
    """Return bins for the `top` most frequent labels (ties by name); the rest of values and domain are `other`."""
    tally = values.cast(pl.String).drop_nulls().alias("label").value_counts(name="rows")
    rows = dict.fromkeys(domain or (), 0) | dict(zip(tally["label"].to_list(), tally["rows"].to_list(), strict=True))
    ordered = sorted(rows, key=lambda label: (-rows[label], label))
    return LabelBins(tuple(ordered[:top]), tuple(sorted(ordered[top:])))
