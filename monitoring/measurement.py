"""A window measured against a profile: counts per frozen bin turned into PSI."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from monitoring.bins import MISSING, UNSEEN, Counts, NumericBins
from monitoring.counts import WindowCounts
from monitoring.masked import collapse
from monitoring.profile import Binned, Profile
from monitoring.psi import INSUFFICIENT_DATA, Status, band, critical_value, overall, psi, weighted_mean
from monitoring.significance import is_drifted, p_value, q_values

MIN_ROWS = 100
HIDDEN_AT_MOST = 0.01
"""The share of masked known labels up to which a feature is measured by its other rows, label by label."""


@dataclass(frozen=True)
class BinnedDrift:
    """One distribution's drift. `psi` is None when the window has no rows; shares are of 1.

    `masked_share` are the rows whose value was masked. Masked numbers are measured as others are; a label's bin nobody
    knows, so with more than HIDDEN_AT_MOST of them both sides are measured as known, missing, unseen. `q_value` is the
    `p_value` corrected for how many features there are; only features have one.
    """

    psi: float | None
    status: Status
    critical_value: float | None
    missing_share: float | None
    unseen_share: float | None
    p_value: float | None = None
    q_value: float | None = None
    masked_share: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data, without what only features have."""
        return {name: value for name, value in vars(self).items() if name not in ("masked_share", "q_value")}


@dataclass(frozen=True)
class DriftMeasurement:
    """What a drift result stores: PSI by feature and of the predictions, over `inference_rows` rows with inputs.

    `weighted_psi` weights the features by importance; None where the model has none.
    """

    overall_status: Status
    overall_psi: float | None
    weighted_psi: float | None
    features: dict[str, BinnedDrift]
    importance: dict[str, float | None]
    prediction: BinnedDrift
    prediction_shares: dict[str, dict[str, float | None]] | None
    inference_rows: int
    skipped_rows: int

    @property
    def drifted_features(self) -> list[str]:
        """The features that differ by more than chance; none below the least rows of a measurement."""
        return [name for name, drift in self.features.items() if is_drifted(drift.status, drift.q_value)]

    def features_json(self) -> dict[str, dict[str, Any]]:
        """Return by name {psi, status, critical_value, missing_share, unseen_share, p_value, q_value, importance, ...}.

        `masked_share` is there where values were masked.
        """
        return {
            name: drift.to_json()
            | {"q_value": drift.q_value, "importance": self.importance[name]}
            | ({"masked_share": drift.masked_share} if drift.masked_share else {})
            for name, drift in self.features.items()
        }

    def prediction_json(self) -> dict[str, Any]:
        """Return the predictions' drift and, in classification, {label: {expected, actual}} shares."""
        shown = self.prediction.to_json()
        return shown if self.prediction_shares is None else {**shown, "labels": self.prediction_shares}


def measure(profile: Profile, counts: WindowCounts, *, min_rows: int = MIN_ROWS) -> DriftMeasurement:
    """Return the window's drift; below `min_rows` every status is `insufficient_data`, whatever the values."""
    enough = counts.rows >= min_rows
    features = _corrected(
        {
            feature.name: _feature_drift(feature.binned, actual, int(masked), int(known), enough=enough)
            for feature, actual, masked, known in zip(
                profile.features, counts.features, counts.masked, counts.known, strict=True
            )
        }
    )
    values = [drift.psi for drift in features.values() if drift.psi is not None]
    status, mean = overall(values) if values else (INSUFFICIENT_DATA, None)
    importance = {feature.name: feature.importance for feature in profile.features}
    return DriftMeasurement(
        overall_status=status if enough else INSUFFICIENT_DATA,
        overall_psi=mean,
        weighted_psi=_weighted(features, importance),
        features=features,
        importance=importance,
        prediction=_prediction_drift(profile, counts, enough=enough),
        prediction_shares=_label_shares(profile.labels, counts.labels),
        inference_rows=counts.rows,
        skipped_rows=counts.skipped,
    )


def _corrected(features: Mapping[str, BinnedDrift]) -> dict[str, BinnedDrift]:
    """Give each feature that has a p-value its q-value among them."""
    found = {name: drift.p_value for name, drift in features.items() if drift.p_value is not None}
    corrected = dict(zip(found, q_values(list(found.values())), strict=True))
    return {name: replace(drift, q_value=corrected.get(name)) for name, drift in features.items()}


def _weighted(features: Mapping[str, BinnedDrift], importance: Mapping[str, float | None]) -> float | None:
    measured = {name: drift.psi for name, drift in features.items() if drift.psi is not None}
    return weighted_mean(list(measured.values()), [importance[name] or 0.0 for name in measured])


def _prediction_drift(profile: Profile, counts: WindowCounts, *, enough: bool) -> BinnedDrift:
    """Drift of the score where the profile bins it, else of the labels."""
    if profile.score is not None and counts.score is not None:
        return _drift(_expected(profile.score), counts.score, enough=enough)
    if profile.labels is None or counts.labels is None:
        raise ValueError("A profile must bin scores or labels")
    return _drift(_expected(profile.labels), counts.labels, enough=enough)


def _expected(binned: Binned) -> Counts:
    return np.asarray(binned.expected, dtype=np.int64)


def _feature_drift(binned: Binned, actual: Counts, masked: int, known: int, *, enough: bool) -> BinnedDrift:
    expected, rows = _expected(binned), int(actual.sum()) + known
    if known > HIDDEN_AT_MOST * rows:
        expected, actual = collapse(expected), collapse(actual, known)
    drift = _drift(expected, actual, enough=enough)
    return replace(drift, masked_share=masked / rows) if masked else drift


def _drift(expected: Counts, actual: Counts, *, enough: bool) -> BinnedDrift:
    rows = int(actual.sum())
    if rows == 0:
        return BinnedDrift(None, INSUFFICIENT_DATA, None, None, None)
    value = psi(expected, actual)
    reached = int(np.count_nonzero(expected + actual))
    return BinnedDrift(
        psi=value,
        status=band(value) if enough else INSUFFICIENT_DATA,
        critical_value=critical_value(int(expected.sum()), rows, reached),
        missing_share=int(actual[MISSING]) / rows,
        unseen_share=int(actual[UNSEEN]) / rows,
        p_value=p_value(expected, actual),
    )


def _label_shares(binned: Binned | None, actual: Counts | None) -> dict[str, dict[str, float | None]] | None:
    if binned is None or actual is None:
        return None
    before, now = sum(binned.expected), int(actual.sum())
    return {
        name: {"expected": e / before, "actual": a / now if now else None}
        for name, e, a in zip(binned.bins.names[:-3], binned.expected, actual.tolist(), strict=False)
    }


def bin_shares(binned: Binned, actual: Counts) -> list[dict[str, Any]]:
    """Return per bin {name, expected, actual} shares for a chart; numeric bins carry `upper`, None when open."""
    before, now = sum(binned.expected), int(actual.sum())
    uppers: Sequence[float | None] = ()
    if isinstance(binned.bins, NumericBins):
        uppers = [*binned.bins.edges, None, None, None]
    return [
        {"name": name, "expected": e / before, "actual": a / now if now else None}
        | ({"upper": uppers[place]} if uppers else {})
        for place, (name, e, a) in enumerate(zip(binned.bins.names, binned.expected, actual.tolist(), strict=True))
    ]
