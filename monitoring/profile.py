"""The frozen profile of a model's reference: what drift is measured against, unchanged for the model's life."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from monitoring.bins import Bins, LabelBins, NumericBins, label_bins, quantile_bins
from monitoring.features import CATEGORICAL, NUMERIC, FeatureSpec
from monitoring.labels import canonical_labels

Category = Literal["Binomial", "Multinomial", "Regression"]
VERSION = 1


@dataclass(frozen=True)
class Binned:
    """Bins and how many reference rows each holds."""

    bins: Bins
    expected: tuple[int, ...]

    @classmethod
    def of(cls, bins: Bins, values: pl.Series) -> "Binned":
        """Count the reference's values into the bins."""
        return cls(bins, tuple(bins.count(values).tolist()))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        if isinstance(self.bins, NumericBins):
            return {"edges": list(self.bins.edges), "expected": list(self.expected)}
        return {"labels": list(self.bins.labels), "others": list(self.bins.others), "expected": list(self.expected)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Binned":
        """Read what `to_json` wrote."""
        if "edges" in data:
            return cls(NumericBins(tuple(float(edge) for edge in data["edges"])), tuple(data["expected"]))
        return cls(LabelBins(tuple(data["labels"]), tuple(data["others"])), tuple(data["expected"]))


@dataclass(frozen=True)
class FeatureProfile:
    """One feature of the reference: a FeatureSpec with its bins, and its importance as a share of 1 when known."""

    name: str
    type: str
    binned: Binned
    importance: float | None = None

    @property
    def domain(self) -> tuple[str, ...] | None:
        """Every label that is not unseen; None when numeric."""
        bins = self.binned.bins
        return None if isinstance(bins, NumericBins) else bins.labels + bins.others


@dataclass(frozen=True)
class Predictions:
    """The model's answers, one per reference row: `score` as the log has it, `labels` None in regression."""

    category: Category
    score: ArrayLike
    labels: Sequence[str] | None = None
    domain: Sequence[str] = ()


@dataclass(frozen=True)
class Baseline:
    """How well the model did on its reference: `accuracy` (0-1) or `rmse`, over rows whose target is known."""

    metric: Literal["accuracy", "rmse"]
    value: float
    rows: int


@dataclass(frozen=True)
class Profile:
    """Row count, features in model order, predictions (score binned unless multinomial, labels unless regression)."""

    rows: int
    category: Category
    features: tuple[FeatureProfile, ...]
    score: Binned | None
    labels: Binned | None
    baseline: Baseline | None

    @property
    def answers(self) -> Binned:
        """The model's answers: its labels in classification, else its binned scores. ValueError when it has neither."""
        binned = self.score if self.labels is None else self.labels
        if binned is None:
            raise ValueError("A profile must bin scores or labels")
        return binned

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data; every float survives the round trip through JSON text."""
        return {
            "version": VERSION,
            "rows": self.rows,
            "category": self.category,
            "features": [
                {"name": f.name, "type": f.type, "importance": f.importance, **f.binned.to_json()}
                for f in self.features
            ],
            "score": self.score and self.score.to_json(),
            "labels": self.labels and self.labels.to_json(),
            "baseline": self.baseline and vars(self.baseline),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Profile":
        """Read what `to_json` wrote; ValueError for another version."""
        if data.get("version") != VERSION:
            raise ValueError(f"A profile of version {data.get('version')!r} cannot be read, only {VERSION}")
        return cls(
            rows=data["rows"],
            category=data["category"],
            features=tuple(
                FeatureProfile(f["name"], f["type"], Binned.from_json(f), f["importance"]) for f in data["features"]
            ),
            score=data["score"] and Binned.from_json(data["score"]),
            labels=data["labels"] and Binned.from_json(data["labels"]),
            baseline=data["baseline"] and Baseline(**data["baseline"]),
        )


def build_profile(
    frame: pl.DataFrame,
    features: Sequence[FeatureSpec],
    predictions: Predictions,
    *,
    target: str | None = None,
    importance: Mapping[str, float] | None = None,
) -> Profile:
    """Freeze a typed reference (`frames.read_reference`) and the model's answers on it. ValueError when it is empty."""
    if frame.height == 0:
        raise ValueError("A profile needs at least one reference row")
    shares = importance or {}
    score = pl.Series("score", np.asarray(predictions.score, dtype=np.float64))
    labels = None if predictions.labels is None else pl.Series("label", predictions.labels, dtype=pl.String)
    return Profile(
        rows=frame.height,
        category=predictions.category,
        features=tuple(_feature_profile(frame[f.name], f, shares.get(f.name)) for f in features),
        score=None if predictions.category == "Multinomial" else Binned.of(quantile_bins(score), score),
        labels=None if labels is None else Binned.of(label_bins(labels, predictions.domain), labels),
        baseline=_baseline(frame[target], predictions) if target in frame.columns else None,
    )


def _feature_profile(values: pl.Series, feature: FeatureSpec, importance: float | None) -> FeatureProfile:
    bins = quantile_bins(values) if feature.type == NUMERIC else label_bins(values, feature.domain)
    return FeatureProfile(feature.name, feature.type, Binned.of(bins, values), importance)


def _baseline(target: pl.Series, predictions: Predictions) -> Baseline | None:
    if predictions.category == "Regression":
        truth = target.cast(pl.Float64, strict=False).to_numpy()
        squares = (np.asarray(predictions.score, dtype=np.float64) - truth) ** 2
        known = squares[np.isfinite(squares)]
        return Baseline("rmse", float(np.sqrt(known.mean())), known.size) if known.size else None
    spelled = canonical_labels(target.cast(pl.String), predictions.domain)
    hits = (spelled == pl.Series(predictions.labels, dtype=pl.String)).drop_nulls()
    return Baseline("accuracy", float(hits.cast(pl.Float64).sum()) / hits.len(), hits.len()) if hits.len() else None


def importance_shares(
    variable_importances: Sequence[Mapping[str, Any]] | None, features: Sequence[FeatureSpec]
) -> dict[str, float]:
    """Return each feature's share of importance (sum 1 over a model) from H2O's table [{feature, percentage, ...}].

    Models that split a category into columns (GLM, DeepLearning, XGBoost) name them `<feature>.<label>`; those sum up.
    """
    names = {feature.name for feature in features}
    categorical = [feature.name for feature in features if feature.type == CATEGORICAL]
    shares: dict[str, float] = {}
    for row in variable_importances or ():
        column = str(row["feature"])
        owners = [column] if column in names else [name for name in categorical if column.startswith(f"{name}.")]
        if owners:
            owner = max(owners, key=len)
            shares[owner] = shares.get(owner, 0.0) + float(row["percentage"])
    return shares
