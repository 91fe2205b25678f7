"""Evidently's report of a measured window with our PSI as its test. The only importer of Evidently and pandas."""

import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

os.environ.setdefault("DO_NOT_TRACK", "1")  # before Evidently is imported: it reads this for its usage statistics

import numpy as np
import pandas as pd
import polars as pl
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import StatTest, register_stattest
from evidently.legacy.core import ColumnType
from evidently.presets import DataDriftPreset

from monitoring.bins import LabelBins
from monitoring.features import prediction_column
from monitoring.masked import KNOWN_OR_NOT, bin_names, known_or_not
from monitoring.measurement import DriftMeasurement
from monitoring.profile import Binned, Profile
from monitoring.psi import MODERATE_FROM
from monitoring.samples import WINDOW_SAMPLE_ROWS, at_most

STATTEST = "pilothouse_psi"

_measured: ContextVar[Mapping[str, float]] = ContextVar("measured")


def _measured_psi(
    _reference: pd.Series,
    current: pd.Series,
    _feature_type: ColumnType,
    threshold: float,
) -> tuple[float, bool]:
    """Answer Evidently with the PSI measured over all rows: it draws samples, it does not measure them."""
    value = _measured.get()[str(current.name)]
    return value, value >= threshold


register_stattest(
    StatTest(
        name=STATTEST,
        display_name="PSI on frozen reference bins",
        allowed_feature_types=[ColumnType.Categorical, ColumnType.Numerical],
        default_threshold=MODERATE_FROM,
    ),
    _measured_psi,
)


def render_report(
    profile: Profile, measurement: DriftMeasurement, reference: pl.DataFrame, current: pl.DataFrame
) -> str:
    """Return Evidently's self-contained HTML: the measured PSI of features and predictions, and pictures of samples.

    `reference` and `current` are samples (`samples.read_sample`, `counts.fold`) with a column per feature and the
    prediction column; at most 2,000 rows of each are drawn. ValueError when the window has no rows.
    """
    if current.height == 0 or reference.height == 0:
        raise ValueError("A drift report needs rows on both sides")
    drawn = [at_most(side, WINDOW_SAMPLE_ROWS) for side in (reference, current)]
    values: dict[str, float] = {}
    before: list[pl.Series] = []
    now: list[pl.Series] = []
    for name, value, binned in _columns(profile, measurement):
        shown = _free_name(_harmless(name), values)
        values[shown] = value
        pair = _drawable(drawn[0][name], drawn[1][name], binned)
        before.append(pair[0].alias(shown))
        now.append(pair[1].alias(shown))
    return _render(pl.DataFrame(before), pl.DataFrame(now), values)


def _render(before: pl.DataFrame, now: pl.DataFrame, values: Mapping[str, float]) -> str:
    numeric = [column.name for column in before if column.dtype == pl.Float64]
    definition = DataDefinition(
        numerical_columns=numeric, categorical_columns=[name for name in values if name not in numeric]
    )
    report = Report([DataDriftPreset(columns=list(values), method=STATTEST, threshold=MODERATE_FROM)])
    token = _measured.set(values)
    try:
        snapshot = report.run(
            Dataset.from_pandas(now.to_pandas(), definition), Dataset.from_pandas(before.to_pandas(), definition)
        )
        return str(snapshot.get_html_str(as_iframe=False))
    finally:
        _measured.reset(token)


def _columns(profile: Profile, measurement: DriftMeasurement) -> Iterator[tuple[str, float, Binned]]:
    """Yield name, measured PSI and bins of every column to draw, predictions last."""
    for feature in profile.features:
        if (value := measurement.features[feature.name].psi) is not None:
            yield feature.name, value, feature.binned
    answers = profile.score or profile.labels
    if answers is not None and measurement.prediction.psi is not None:
        yield prediction_column(profile.features), measurement.prediction.psi, answers


def _harmless(text: str) -> str:
    """Return the text without angle brackets: Evidently writes names and labels into a script element as they are."""
    return text.replace("<", "\u2039").replace(">", "\u203a")


def _free_name(name: str, taken: Mapping[str, float]) -> str:
    while name in taken:
        name += "_"
    return name


def _drawable(before: pl.Series, now: pl.Series, binned: Binned) -> tuple[pl.Series, pl.Series]:
    """Return both samples as columns Evidently can draw: finite numbers, or short labels without nulls.

    A numeric column whose numbers make no histogram on one side, or are masked, is drawn by its bins; of masked labels
    is drawn whether they are known, a long tail of others as `other`.
    """
    if isinstance(binned.bins, LabelBins):
        if now.dtype == KNOWN_OR_NOT:
            return known_or_not(before, binned.bins).cast(pl.String), now.cast(pl.String)
        return _labels(before, binned.bins), _labels(now, binned.bins)
    if now.dtype == pl.String:
        return bin_names(before, binned.bins), now
    numbers = (_finite(before), _finite(now))
    if all(_has_histogram(side) for side in (*numbers, pl.concat(numbers))):
        return numbers
    return bin_names(before, binned.bins), bin_names(now, binned.bins)


def _finite(values: pl.Series) -> pl.Series:
    numbers = values.cast(pl.Float64)
    return pl.select(pl.when(numbers.is_finite()).then(numbers)).to_series()


def _has_histogram(numbers: pl.Series) -> bool:
    """Tell whether numpy can cut the numbers into equal bins: some there, and neither too far apart nor too near."""
    values = numbers.drop_nulls().to_numpy()
    if values.size == 0:
        return False
    with np.errstate(over="ignore"):
        span = np.ptp(values) or 1.0  # numpy opens a constant's range to one
    return bool(np.isfinite(span) and span / 1000 > np.spacing(np.abs(values).max()))


def _labels(values: pl.Series, bins: LabelBins) -> pl.Series:
    text = values.cast(pl.String)
    shown = text.replace(list(bins.others), "(other)").str.slice(0, 60).fill_null("(missing)")
    return shown.str.replace_all("<", "\u2039", literal=True).str.replace_all(">", "\u203a", literal=True)
