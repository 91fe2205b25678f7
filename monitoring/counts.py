"""Rows of the log counted into a profile's frozen bins."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from monitoring.bins import Counts
from monitoring.payloads import LogBatch
from monitoring.profile import Binned, Profile
from monitoring.samples import WindowSample


@dataclass(frozen=True)
class WindowCounts:
    """How many rows fell in each bin of a profile; counts of parts of a window add up to the counts of the whole.

    `features`, `score` and `labels` count the `rows` that have inputs; `answers` (bins: `Profile.answers`) counts the
    skipped ones too.
    """

    rows: int
    skipped: int
    features: tuple[Counts, ...]
    score: Counts | None
    labels: Counts | None
    answers: Counts

    @classmethod
    def empty(cls, profile: Profile) -> "WindowCounts":
        """Return no rows at all."""
        return cls(
            rows=0,
            skipped=0,
            features=tuple(_zeros(feature.binned) for feature in profile.features),
            score=None if profile.score is None else _zeros(profile.score),
            labels=None if profile.labels is None else _zeros(profile.labels),
            answers=_zeros(profile.answers),
        )

    def __add__(self, other: "WindowCounts") -> "WindowCounts":
        """Return the counts of both."""
        return WindowCounts(
            self.rows + other.rows,
            self.skipped + other.skipped,
            tuple(mine + theirs for mine, theirs in zip(self.features, other.features, strict=True)),
            None if self.score is None or other.score is None else self.score + other.score,
            None if self.labels is None or other.labels is None else self.labels + other.labels,
            self.answers + other.answers,
        )


def _zeros(binned: Binned) -> Counts:
    return np.zeros(binned.bins.size, dtype=np.int64)


def count_batch(profile: Profile, batch: LogBatch) -> WindowCounts:
    """Return the counts of one batch."""
    return WindowCounts(
        rows=batch.inputs.height,
        skipped=batch.skipped,
        features=tuple(feature.binned.bins.count(batch.inputs[feature.name]) for feature in profile.features),
        score=None if profile.score is None else profile.score.bins.count(batch.answers["score"]),
        labels=None if profile.labels is None else profile.labels.bins.count(batch.answers["prediction"]),
        answers=_count_answers(profile, batch),
    )


def _count_answers(profile: Profile, batch: LogBatch) -> Counts:
    bins, column = profile.answers.bins, "score" if profile.labels is None else "prediction"
    counts = bins.count(batch.answers[column])
    return counts if batch.bare_answers is None else counts + bins.count(batch.bare_answers[column])


def count_window(profile: Profile, batches: Iterable[LogBatch]) -> WindowCounts:
    """Return the counts of all batches; one batch is held at a time."""
    return sum((count_batch(profile, batch) for batch in batches), start=WindowCounts.empty(profile))


def fold(profile: Profile, batches: Iterable[LogBatch]) -> tuple[WindowCounts, pl.DataFrame | None]:
    """Return the counts of all batches and a bounded sample of their rows; one batch is held at a time."""
    counts = WindowCounts.empty(profile)
    sample = WindowSample(profile.features, profile.category)
    for batch in batches:
        counts += count_batch(profile, batch)
        sample.add(batch)
    return counts, sample.frame()
