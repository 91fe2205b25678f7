"""The population stability index over given bins: its value, its no-drift critical value and its bands."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Status = Literal["pending", "insufficient_data", "low", "moderate", "high"]

EPSILON: Final = 1e-4
MODERATE_FROM: Final = 0.10
HIGH_FROM: Final = 0.25
PENDING: Final[Status] = "pending"
INSUFFICIENT_DATA: Final[Status] = "insufficient_data"


def psi(expected_counts: ArrayLike, actual_counts: ArrayLike, epsilon: float = EPSILON) -> float:
    """Return PSI = sum over bins of (a - e) * ln(a / e), at least 0, over shares e (expected) and a (actual).

    An empty bin's share becomes `epsilon`, then each side is divided by its sum again. The formula is Jeffreys'
    divergence (Jeffreys 1946; Siddiqi, Credit Risk Scorecards, 2006, for its use as PSI). Both sides are counts over
    the same bins; ValueError when their lengths differ or one side has no rows.
    """
    expected, actual = _shares(expected_counts, epsilon), _shares(actual_counts, epsilon)
    if expected.shape != actual.shape:
        raise ValueError(f"PSI compares the same bins: {expected.size} expected, {actual.size} actual")
    return max(0.0, float(np.sum((actual - expected) * np.log(actual / expected))))


def _shares(counts: ArrayLike, epsilon: float) -> NDArray[np.float64]:
    raw = np.asarray(counts, dtype=np.float64)
    total = raw.sum()
    if not total > 0:
        raise ValueError("PSI needs at least one row on each side")
    shares = np.where(raw == 0, epsilon, raw / total)
    return np.asarray(shares / shares.sum(), dtype=np.float64)


def critical_value(n_expected: int, n_actual: int, bins: int, quantile: float = 0.99) -> float:
    """Return the PSI that two samples of one population stay below in `quantile` of cases.

    Without drift PSI is asymptotically (1/N + 1/M) * chi-square with bins - 1 degrees of freedom (Yurdakul,
    Statistical Properties of the Population Stability Index, 2018). `bins` are the bins either sample reaches;
    a single bin cannot differ, its critical value is 0.
    """
    if n_expected < 1 or n_actual < 1:
        raise ValueError("A critical value needs at least one row on each side")
    if bins < 2:
        return 0.0
    return (1 / n_expected + 1 / n_actual) * chi2_quantile(bins - 1, quantile)


@lru_cache(maxsize=1024)
def chi2_quantile(degrees: int, quantile: float) -> float:
    """Return the chi-square quantile for whole degrees of freedom, to double precision, by bisection."""
    if degrees < 1 or not 0 < quantile < 1:
        raise ValueError(f"No chi-square quantile {quantile} with {degrees} degrees of freedom")
    low, high = 0.0, float(degrees)
    while chi2_tail(high, degrees) > 1 - quantile:
        high *= 2
    while (middle := (low + high) / 2) not in (low, high):
        if chi2_tail(middle, degrees) > 1 - quantile:
            low = middle
        else:
            high = middle
    return high


def chi2_tail(x: float, degrees: int) -> float:
    """Return P(chi-square > x) for whole degrees, at least 1: a finite sum (Abramowitz, Stegun 26.4.4 and 26.4.5)."""
    half = x / 2
    start = 0.5 if degrees % 2 else 0.0
    tail = math.erfc(math.sqrt(half)) if degrees % 2 else math.exp(-half)
    for step in range(1, (degrees + 1) // 2):
        power = step - start
        tail += math.exp(power * math.log(half) - half - math.lgamma(power + 1)) if half > 0 else 0.0
    return tail


def band(value: float) -> Status:
    """Return `low` below 0.10, `moderate` below 0.25, else `high`."""
    if value < MODERATE_FROM:
        return "low"
    return "moderate" if value < HIGH_FROM else "high"


def overall(values: Sequence[float]) -> tuple[Status, float]:
    """Return the band of the mean PSI, raised to at least `moderate` when any value is `high`, and the mean."""
    if not values:
        raise ValueError("An overall status needs at least one feature")
    mean = math.fsum(values) / len(values)
    status = band(mean)
    if status == "low" and any(band(value) == "high" for value in values):
        status = "moderate"
    return status, mean


def weighted_mean(values: Sequence[float], weights: Sequence[float]) -> float | None:
    """Return the mean of PSI values weighted by importances; None when no weight is above 0."""
    total = math.fsum(weights)
    if not total > 0:
        return None
    return math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / total
