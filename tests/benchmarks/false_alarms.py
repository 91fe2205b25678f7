"""False alarms: how often windows without drift are called drifted, by PSI's bands, its critical value, and corrected.

Run by hand: `uv run python -m tests.benchmarks.false_alarms [runs]`. Each run draws a reference and a window of one
population and goes the whole way of a drift result: bins frozen from the reference, both counted, measured. Of ten
features seven are numeric (normal, lognormal, uniform, whole numbers; one with missing values) and three have labels
(2, 5 and 30 of them, the last with a long tail). The last column is no false alarm: there one feature has moved by half
a standard deviation, and the share of runs that find it after correction is shown.
"""

import sys
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl

from monitoring.counts import count_batch
from monitoring.measurement import DriftMeasurement, measure
from monitoring.payloads import LogBatch
from monitoring.profile import Predictions, build_profile
from monitoring.psi import HIGH_FROM, MODERATE_FROM
from tests.drift_material import PlainFeature

ROWS = (100, 200, 500, 2_000)
USUAL_REFERENCE = 10_000
FEATURES = (10, 30)
MOVED, MOVED_BY = "f00", 0.5


def draw(rng: np.random.Generator, rows: int, features: int, moved_by: float = 0.0) -> pl.DataFrame:
    """Return rows of the population; `moved_by` standard deviations of the first feature, a normal one."""
    columns = {f"f{place:02}": _column(rng, rows, place % 10) for place in range(features)}
    columns[MOVED] = columns[MOVED] + moved_by
    return pl.DataFrame(columns)


def _column(rng: np.random.Generator, rows: int, kind: int) -> pl.Series:
    labels = {7: 2, 8: 5, 9: 30}.get(kind)
    if labels is not None:
        weights = 1 / np.arange(1, labels + 1)
        return pl.Series(rng.choice([f"l{one:02}" for one in range(labels)], rows, p=weights / weights.sum()))
    numbers = {
        0: lambda: rng.normal(size=rows),
        1: lambda: rng.normal(size=rows),
        2: lambda: rng.lognormal(size=rows),
        3: lambda: rng.lognormal(sigma=2, size=rows),
        4: lambda: rng.random(rows),
        5: lambda: rng.poisson(30, rows).astype(np.float64),
        6: lambda: np.where(rng.random(rows) < 0.01, np.nan, rng.normal(size=rows)),
    }
    return pl.Series(numbers[kind]()).fill_nan(None)


def _measured(rng: np.random.Generator, rows: int, reference: int, features: int, moved_by: float) -> DriftMeasurement:
    specs = [PlainFeature(f"f{place:02}", "categorical" if place % 10 > 6 else "numeric") for place in range(features)]
    before, now = draw(rng, reference, features), draw(rng, rows, features, moved_by)
    profile = build_profile(before, specs, Predictions("Regression", rng.random(reference)))
    answers = pl.DataFrame(
        {"prediction": pl.Series([None] * rows, dtype=pl.String), "score": rng.random(rows), "draw": range(rows)}
    )
    return measure(profile, count_batch(profile, LogBatch(now, answers, 0)))


@dataclass(frozen=True)
class Alarms:
    """Shares (0-1): of features, of runs with at least one such feature, and of runs that find a feature that moved."""

    feature: tuple[float, ...]
    run: tuple[float, ...]
    found: float


def simulate(runs: int, rows: int, reference: int, features: int) -> Alarms:
    """Return the shares called drifted by PSI >= 0.1, by >= 0.25, above the critical value, and corrected."""
    rng = np.random.default_rng([rows, reference, features])
    called = np.zeros((runs, features, 4), dtype=bool)
    found = 0
    for run in range(runs):
        measurement = _measured(rng, rows, reference, features, 0.0)
        for place, (name, drift) in enumerate(measurement.features.items()):
            psi = drift.psi or 0.0
            called[run, place] = (
                psi >= MODERATE_FROM,
                psi >= HIGH_FROM,
                psi > (drift.critical_value or 0.0),
                name in measurement.drifted_features,
            )
        found += MOVED in _measured(rng, rows, reference, features, MOVED_BY).drifted_features
    return Alarms(tuple(called.mean(axis=(0, 1))), tuple(called.any(axis=1).mean(axis=0)), found / runs)


def main() -> None:
    """Simulate and print the table, in percent."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print(
        f"Percent of {runs} runs without drift; feature: of all features, run: of runs with one such feature or more\n"
    )
    print(
        "| rows | reference | features | PSI ≥ 0.1: feature, run | PSI ≥ 0.25 | > critical value | corrected | found |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for rows, usual, features in product(ROWS, (False, True), FEATURES):
        reference = USUAL_REFERENCE if usual else rows
        alarms = simulate(runs, rows, reference, features)
        shares = [f"{100 * one:.1f}, {100 * all_:.1f}" for one, all_ in zip(alarms.feature, alarms.run, strict=True)]
        cells = [f"{rows:,}", f"{reference:,}", str(features), *shares, f"{100 * alarms.found:.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
