"""A MOJO as the rest of the house knows it: rows of JSON in, labels, probabilities and contributions out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jpype
import numpy as np

from api.scoring.archive import ArchiveInfo, check_archive
from api.scoring.errors import (
    MAX_ROW_ERRORS,
    ContributionsUnavailable,
    InvalidRows,
    MojoRefused,
    RowError,
    shown,
)
from api.scoring.features import Encoded, Feature, Row, RowEncoder
from api.scoring.java_model import JavaModel, explain
from api.scoring.zip_reader import ArchiveLimits

BIAS = "BiasTerm"
_LABELS_OF = {"Binomial": range(2, 3), "Multinomial": range(2, 100_000)}


@dataclass(frozen=True, slots=True)
class Scores:
    """Answers to rows, in their order.

    `score` is the value (regression), the probability of the second label (binomial, as H2O's own threshold compares
    it) or the probability of the answered label (multinomial). `labels` and `probabilities` (in the order of the
    scorer's `labels`) are None for regression. Probabilities are the model's own, not calibrated ones.
    """

    labels: list[str] | None
    score: list[float]
    probabilities: list[list[float]] | None


class MojoScorer:
    """A model ready to score; immutable, so threads share it."""

    def __init__(self, info: ArchiveInfo, model: JavaModel) -> None:
        """Take a model that was loaded; use `load`. Raises MojoRefused when its parts contradict one another."""
        self.info = info
        self.algo, self.category, self.target = info.algo, info.category, info.target
        self.features = _features(info, model)
        self.labels = _labels(info.category, model)
        self._model = model
        self._encoder = RowEncoder(self.features)
        self._why_no_contributions = model.why_no_contributions()
        _probe(model, self.features, self.labels)

    @classmethod
    def load(cls, path: Path, limits: ArchiveLimits | None = None) -> "MojoScorer":
        """Check and load a MOJO file, which is not needed afterwards; raises MojoRefused."""
        info = check_archive(path, limits)
        needs_importances = info.algo == "drf" and info.variable_importances is not None
        return cls(info, JavaModel(path, with_importances=needs_importances))

    @property
    def supports_contributions(self) -> bool:
        """Whether `contributions` answers."""
        return self._why_no_contributions is None

    @property
    def contribution_names(self) -> list[str]:
        """The order of contributions: the features in the model's order, then the bias."""
        return [*(feature.name for feature in self.features), BIAS]

    def encode(self, rows: Sequence[Row]) -> Encoded:
        """Turn JSON rows into the model's numbers; raises InvalidRows."""
        return self._encoder.encode(rows)

    def score(self, matrix: np.ndarray) -> Scores:
        """Score an encoded matrix; raises InvalidRows naming rows for which the model has no finite answer."""
        answers = self._answers(matrix)
        if self.labels is None:
            return Scores(None, [row[0] for row in answers], None)
        numbers = [int(row[0]) for row in answers]
        if self.category == "Binomial":
            score = [row[2] for row in answers]
        else:
            score = [row[1 + number] for number, row in zip(numbers, answers, strict=True)]
        return Scores(
            [self.labels[number] for number in numbers], score, [row[1 : 1 + len(self.labels)] for row in answers]
        )

    def contributions(self, matrix: np.ndarray) -> list[list[float]]:
        """Return for each row what each feature added to the raw margin, and the bias: they sum to that margin.

        The margin is the log-odds of the second label (GBM, XGBoost), its probability (DRF), or for regression the
        value before the distribution's link is undone (so its logarithm for poisson, gamma and tweedie).
        Raises ContributionsUnavailable.
        """
        if self._why_no_contributions is not None:
            raise ContributionsUnavailable(self._why_no_contributions)
        try:
            return list(self._model.contributions(matrix).tolist())
        except jpype.JException as error:
            raise ContributionsUnavailable(f"H2O failed to make contributions: {explain(error)}") from error

    def _answers(self, matrix: np.ndarray) -> list[list[float]]:
        """Return one list a row: the label's number and the probabilities, or the value; all finite."""
        try:
            answers = self._model.score(matrix)
        except jpype.JException:
            raise InvalidRows(self._failures(matrix)) from None
        used = 1 if self.labels is None else 1 + len(self.labels)
        bad = [number for number, row in enumerate(answers) if not all(map(math.isfinite, row[:used]))]
        if bad:
            raise InvalidRows(
                [RowError(row, None, "the model has no finite answer for it") for row in bad[:MAX_ROW_ERRORS]]
            )
        return answers

    def _failures(self, matrix: np.ndarray) -> list[RowError]:
        """Find the rows on which the model fails, one by one."""
        errors = []
        for number in range(len(matrix)):
            try:
                self._model.score(matrix[number : number + 1])
            except jpype.JException as error:
                errors.append(
                    RowError(number, None, f"the model fails on it: {explain(error)}", "the model fails on it")
                )
                if len(errors) >= MAX_ROW_ERRORS:
                    break
        return errors


def _features(info: ArchiveInfo, model: JavaModel) -> tuple[Feature, ...]:
    names = model.features
    if names != info.features or model.category != info.category:
        raise MojoRefused("H2O reads the MOJO differently from what its model.ini says")
    features = []
    for position, name in enumerate(names):
        labels = model.domain(position)
        if labels is None:
            features.append(Feature(name, "numeric"))
        else:
            features.append(Feature(name, "categorical", _distinct(labels, name)))
    return tuple(features)


def _labels(category: str, model: JavaModel) -> tuple[str, ...] | None:
    labels = model.response_domain
    if category == "Regression":
        if labels is not None:
            raise MojoRefused("The MOJO is for regression, yet its target has labels")
        return None
    if labels is None or len(labels) not in _LABELS_OF[category]:
        raise MojoRefused(f"The MOJO is {category.lower()}, yet its target has {len(labels or [])} labels")
    return _distinct(labels, "the target")


def _distinct(labels: list[str | None], column: str) -> tuple[str, ...]:
    known = [label for label in labels if label is not None and "\0" not in label]
    if len(known) != len(labels) or len(set(known)) != len(known):
        raise MojoRefused(f"The labels of {shown(column)} in the MOJO are incomplete or not distinct")
    return tuple(known)


def _probe(model: JavaModel, features: Sequence[Feature], labels: Sequence[str] | None) -> None:
    """Score first labels, last labels and nothing at all, so that a broken model is refused now, not when it serves."""
    last = [float(len(feature.domain) - 1) if feature.domain else 1.0 for feature in features]
    rows = np.array([[0.0] * len(features), last, [math.nan] * len(features)])
    try:
        answers = model.score(rows)
    except jpype.JException as error:
        raise MojoRefused(f"The MOJO cannot score a plain row: {explain(error)}") from error
    if labels is not None and any(
        len(answer) != 1 + len(labels) or answer[0] not in range(len(labels)) for answer in answers
    ):
        raise MojoRefused("The MOJO answers with labels that it does not have")
