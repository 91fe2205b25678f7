"""Bounded samples for Evidently's pictures: a column per feature, and the model's answer beside them."""

import io
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitoring.features import FeatureSpec, prediction_column
from monitoring.masked import bins_column
from monitoring.payloads import LogBatch
from monitoring.profile import Category, Predictions

REFERENCE_SAMPLE_ROWS = 5_000
WINDOW_SAMPLE_ROWS = 2_000
_SEED = 20_240_229


def reference_sample(
    frame: pl.DataFrame,
    features: Sequence[FeatureSpec],
    predictions: Predictions,
    rows: int = REFERENCE_SAMPLE_ROWS,
) -> bytes:
    """Return at most `rows` reference rows with the model's answers, as Parquet; the same input draws the same rows."""
    answers = pl.DataFrame(
        {
            "prediction": pl.Series(predictions.labels or [None] * frame.height, dtype=pl.String),
            "score": np.asarray(predictions.score, dtype=np.float64),
        }
    )
    whole = _beside(frame.select(f.name for f in features), answers, predictions.category, features)
    file = io.BytesIO()
    at_most(whole, rows).write_parquet(file, compression="zstd")
    return file.getvalue()


def at_most(frame: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Return the frame, or a fixed random draw of that many of its rows when it has more."""
    return frame.sample(rows, seed=_SEED) if frame.height > rows else frame


def read_sample(parquet: bytes) -> pl.DataFrame:
    """Return a sample that `reference_sample` wrote."""
    return pl.read_parquet(io.BytesIO(parquet))


def _beside(
    inputs: pl.DataFrame, answers: pl.DataFrame, category: Category, features: Sequence[FeatureSpec]
) -> pl.DataFrame:
    """Return the inputs with the answer as one column: the label of many, else the score."""
    answer = answers["prediction" if category == "Multinomial" else "score"]
    return inputs.with_columns(answer.alias(prediction_column(features)))


class WindowSample:
    """A uniform sample of the rows added, at most `rows`: those of smallest draw, in whatever order they come."""

    def __init__(self, features: Sequence[FeatureSpec], category: Category, rows: int = WINDOW_SAMPLE_ROWS) -> None:
        self._features = features
        self._category = category
        self._rows = rows
        self._draws: list[NDArray[np.int64]] = []
        self._frames: list[pl.DataFrame] = []
        self._bound: np.int64 | None = None  # no draw from here on can be in the sample

    def add(self, batch: LogBatch) -> None:
        """Offer a batch."""
        draws = batch.answers["draw"].to_numpy()
        hopeful = np.arange(draws.size) if self._bound is None else np.flatnonzero(draws < self._bound)
        places = hopeful[_smallest(draws[hopeful], self._rows)]
        self._draws.append(draws[places])
        frame = _beside(batch.inputs[places], batch.answers[places], self._category, self._features)
        if batch.bins is not None:
            frame = frame.with_columns(column.alias(bins_column(column.name)) for column in batch.bins[places])
        self._frames.append(frame)
        if sum(kept.size for kept in self._draws) >= 2 * self._rows:
            self._settle()

    def frame(self) -> pl.DataFrame | None:
        """Return the sample, smallest draw first, masked features with their bins; None when no batch was added."""
        if not self._frames:
            return None
        self._settle()
        return self._frames[0]

    def _settle(self) -> None:
        """Keep the smallest draws of all; once there are enough of them the largest is the bound."""
        draws = np.concatenate(self._draws)
        places = _smallest(draws, self._rows)
        self._draws, self._frames = [draws[places]], [pl.concat(self._frames, how="diagonal")[places]]
        if places.size == self._rows:
            self._bound = draws[places][-1]


def _smallest(draws: NDArray[np.int64], rows: int) -> NDArray[np.intp]:
    return np.argsort(draws, kind="stable")[:rows]
