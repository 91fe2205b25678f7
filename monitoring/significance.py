"""Whether drift is more than chance: a p-value by feature, and the false-discovery rate over all of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from monitoring.psi import INSUFFICIENT_DATA, chi2_tail

DISCOVERY_RATE = 0.05
"""Of the features called drifted, the share that may be so by chance."""
_LEAST_VARIANCE = 1.0


def p_value(expected_counts: ArrayLike, actual_counts: ArrayLike) -> float:
    """Return how often two samples of one population differ at least so much in their counts over the same bins.

    Pearson's chi-square of homogeneity over the bins that either side reaches. Where few rows are expected it takes
    single rows for much; so a bin whose difference has a variance below one row counts as if it had one row's, and
    counts for that share of a degree of freedom. PSI's own tail is no use there: of windows of 100 rows without drift
    it calls most features with 30 labels drifted at 1 %. ValueError when one side has no rows.
    """
    expected = np.asarray(expected_counts, dtype=np.float64)
    actual = np.asarray(actual_counts, dtype=np.float64)
    rows, pooled = float(expected.sum() + actual.sum()), expected + actual
    share = float(actual.sum()) / rows if rows else 0.0
    if not 0 < share < 1:
        raise ValueError("A p-value needs at least one row on each side")
    variances = pooled * share * (1 - share)
    statistic = float(np.sum((actual - pooled * share) ** 2 / np.maximum(variances, _LEAST_VARIANCE)))
    if np.count_nonzero(pooled) < 2:
        return 1.0
    degrees = int(np.ceil(np.minimum(variances / _LEAST_VARIANCE, 1.0).sum())) - 1
    return min(1.0, chi2_tail(statistic, max(1, degrees)))


def q_values(p_values: Sequence[float]) -> list[float]:
    """Return for each p-value the smallest false-discovery rate at which it is among the discoveries.

    The step-up procedure of Benjamini and Hochberg (1995): q of the i-th smallest of m is the least of p_j * m / j over
    j from i on. Holds for tests that are independent or move together (Benjamini and Yekutieli 2001).
    """
    found = [1.0] * len(p_values)
    least = 1.0
    ascending = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for rank, place in reversed(list(enumerate(ascending, start=1))):
        least = min(least, p_values[place] * len(p_values) / rank)
        found[place] = least
    return found


def is_drifted(status: str, q_value: float | None) -> bool:
    """Tell whether a feature differs by more than chance: its `q_value` is below DISCOVERY_RATE, and rows suffice."""
    return status != INSUFFICIENT_DATA and q_value is not None and q_value < DISCOVERY_RATE
