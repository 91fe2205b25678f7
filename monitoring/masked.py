"""Masked values of the log: what they were is gone, the frozen bin they fell in was kept beside them.

Of a number the bin is the place of its count in `NumericBins`; of a label only whether it is known, unseen or missing.
"""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitoring.bins import MISSING, UNSEEN, Bins, Counts, LabelBins, NumericBins
from monitoring.features import NUMERIC

KNOWN: Final = "known"
KNOWN_OR_NOT: Final = pl.Enum([KNOWN, "unseen", "missing"])
_PLACES: Final = {"unseen": UNSEEN, "missing": MISSING}


def bins_type(feature_type: str) -> pl.DataType:
    """Return what the bins of a feature are read as."""
    return pl.Int64() if feature_type == NUMERIC else pl.String()


def bins_column(feature: str) -> str:
    """Return the name of the column of a feature's bins beside its values; no feature's name holds a NUL."""
    return f"{feature}\0bins"


def count_masked(bins: Bins, kept: pl.Series) -> tuple[Counts, int]:
    """Return how many masked values fell in each bin, and how many are known labels, whose bin nobody knows."""
    if isinstance(bins, NumericBins):
        places = kept.drop_nulls().to_numpy()
        inside = (places >= 0) & (places < bins.size)
        placed = np.where(inside, places, bins.size + UNSEEN)
        return np.bincount(placed, minlength=bins.size).astype(np.int64), 0
    counts, known = np.zeros(bins.size, dtype=np.int64), 0
    tally = kept.drop_nulls().alias("bin").value_counts(name="rows")
    for name, rows in zip(tally["bin"].to_list(), tally["rows"].to_list(), strict=True):
        if name == KNOWN:
            known += rows
        else:
            counts[_PLACES.get(name, UNSEEN)] += rows
    return counts, known


def masked_positions(bins: Bins, kept: pl.Series) -> NDArray[np.intp]:
    """Return for each masked value (no nulls) the index of its count, -1 for a known label, whose bin nobody knows."""
    if isinstance(bins, NumericBins):
        places = kept.to_numpy()
        return np.where((places >= 0) & (places < bins.size), places, bins.size + UNSEEN).astype(np.intp)
    places_of = {name: bins.size + place for name, place in _PLACES.items()} | {KNOWN: -1}
    return np.array([places_of.get(name, bins.size + UNSEEN) for name in kept.to_list()], dtype=np.intp)


def collapse(counts: Counts, known: int = 0) -> Counts:
    """Return the counts of labels as known (`known` more of them), missing, unseen."""
    return np.array([int(counts[:MISSING].sum()) + known, counts[MISSING], counts[UNSEEN]], dtype=np.int64)


def bin_names(values: pl.Series, bins: NumericBins) -> pl.Series:
    """Return numbers as the names of their bins."""
    names = bins.names
    return pl.Series(values.name, [names[place] for place in bins.positions(values)], dtype=pl.String)


def known_or_not(values: pl.Series, bins: LabelBins) -> pl.Series:
    """Return labels as known, unseen or missing."""
    known = values.is_in([*bins.labels, *bins.others])
    names = pl.select(
        pl.when(values.is_null()).then(pl.lit("missing")).when(known).then(pl.lit(KNOWN)).otherwise(pl.lit("unseen"))
    )
    return names.to_series().cast(KNOWN_OR_NOT).alias(values.name)


def without_values(values: pl.Series, kept: pl.Series, bins: Bins) -> pl.Series:
    """Return a column of which some values are masked as bins throughout: what can be drawn of it."""
    masked = kept.is_not_null()
    if isinstance(bins, LabelBins):
        return kept.cast(KNOWN_OR_NOT, strict=False).zip_with(masked, known_or_not(values, bins)).alias(values.name)
    names = [bins.names[place] if 0 <= place < bins.size else "unseen" for place in kept.fill_null(0).to_list()]
    return pl.Series(names, dtype=pl.String).zip_with(masked, bin_names(values, bins)).alias(values.name)
