"""Bounded samples for Evidently's pictures: a column per feature, and the model's answer beside them."""

import io
from collections.abc import Sequence

import numpy as np
import polars as pl

from monitoring.features import FeatureSpec, prediction_column
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
        self._draws: pl.Series | None = None
        self._frame: pl.DataFrame | None = None

    def add(self, batch: LogBatch) -> None:
        """Offer a batch."""
        draws = batch.answers["draw"]
        frame = _beside(batch.inputs, batch.answers, self._category, self._features)
        if self._draws is not None and self._frame is not None:
            hopeful = (draws < self._draws[-1]) if self._draws.len() == self._rows else draws.is_not_null()
            draws = pl.concat([self._draws, draws.filter(hopeful)])
            frame = pl.concat([self._frame, frame.filter(hopeful)])
        places = draws.arg_sort()[: self._rows]
        self._draws, self._frame = draws[places], frame[places]

    def frame(self) -> pl.DataFrame | None:
        """Return the sample, smallest draw first; None when no batch was added."""
        return self._frame
