"""Rows of the log counted into a profile's frozen bins."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitoring.bins import Counts
from monitoring.masked import bins_column, count_masked, without_values
from monitoring.payloads import LogBatch
from monitoring.profile import Binned, FeatureProfile, Profile
from monitoring.samples import WindowSample


@dataclass(frozen=True)
class WindowCounts:
    """How many rows fell in each bin of a profile; counts of parts of a window add up to the counts of the whole.

    `features`, `score` and `labels` count the `rows` that have inputs; `answers` (bins: `Profile.answers`) counts the
    skipped ones too. `masked` are the rows by feature whose value was masked: `features` counts them by the bin that
    was kept, but for `known` of them, which are known labels.
    """

    rows: int
    skipped: int
    features: tuple[Counts, ...]
    score: Counts | None
    labels: Counts | None
    answers: Counts
    masked: NDArray[np.int64]
    known: NDArray[np.int64]

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
            masked=np.zeros(len(profile.features), dtype=np.int64),
            known=np.zeros(len(profile.features), dtype=np.int64),
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
            self.masked + other.masked,
            self.known + other.known,
        )

    def to_vector(self) -> NDArray[np.int64]:
        """Return all counts in a row; vectors of one profile add up as the counts do."""
        single = np.array([self.rows, self.skipped], dtype=np.int64)
        answers = [part for part in (self.score, self.labels) if part is not None]
        return np.concatenate([single, *self.features, *answers, self.answers, self.masked, self.known])

    @classmethod
    def from_vector(cls, profile: Profile, vector: NDArray[np.int64]) -> "WindowCounts":
        """Read what `to_vector` gave. ValueError when it is of another profile."""
        empty = cls.empty(profile)
        if len(vector) != len(empty.to_vector()):
            raise ValueError(f"These {len(vector)} counts are not of this profile")
        left = vector[2:]

        def take(size: int) -> Counts:
            nonlocal left
            taken, left = left[:size], left[size:]
            return taken

        return cls(
            int(vector[0]),
            int(vector[1]),
            tuple([take(counts.size) for counts in empty.features]),
            None if empty.score is None else take(empty.score.size),
            None if empty.labels is None else take(empty.labels.size),
            take(empty.answers.size),
            take(empty.masked.size),
            take(empty.known.size),
        )


def _zeros(binned: Binned) -> Counts:
    return np.zeros(binned.bins.size, dtype=np.int64)


def count_batch(profile: Profile, batch: LogBatch) -> WindowCounts:
    """Return the counts of one batch."""
    counted = [_count_feature(feature, batch) for feature in profile.features]
    return WindowCounts(
        rows=batch.inputs.height,
        skipped=batch.skipped,
        features=tuple(counts for counts, _, _ in counted),
        score=None if profile.score is None else profile.score.bins.count(batch.answers["score"]),
        labels=None if profile.labels is None else profile.labels.bins.count(batch.answers["prediction"]),
        answers=_count_answers(profile, batch),
        masked=np.array([masked for _, masked, _ in counted], dtype=np.int64),
        known=np.array([known for _, _, known in counted], dtype=np.int64),
    )


def _count_feature(feature: FeatureProfile, batch: LogBatch) -> tuple[Counts, int, int]:
    """Return the counts, how many rows of them are masked, and how many masked ones are known labels."""
    values, bins = batch.inputs[feature.name], feature.binned.bins
    if batch.bins is None or feature.name not in batch.bins.columns:
        return bins.count(values), 0, 0
    kept = batch.bins[feature.name]
    counts, known = count_masked(bins, kept)
    return counts + bins.count(values.filter(kept.is_null())), kept.len() - kept.null_count(), known


def _count_answers(profile: Profile, batch: LogBatch) -> Counts:
    bins, column = profile.answers.bins, "score" if profile.labels is None else "prediction"
    counts = bins.count(batch.answers[column])
    return counts if batch.bare_answers is None else counts + bins.count(batch.bare_answers[column])


def count_window(profile: Profile, batches: Iterable[LogBatch]) -> WindowCounts:
    """Return the counts of all batches; one batch is held at a time."""
    return sum((count_batch(profile, batch) for batch in batches), start=WindowCounts.empty(profile))


def fold(profile: Profile, batches: Iterable[LogBatch]) -> tuple[WindowCounts, pl.DataFrame | None]:
    """Return the counts of all batches and a bounded sample of their rows; one batch is held at a time.

    In the sample a feature with masked values is there by its bins: of a number their names, of a label KNOWN_OR_NOT.
    """
    counts = WindowCounts.empty(profile)
    sample = WindowSample(profile.features, profile.category)
    for batch in batches:
        counts += count_batch(profile, batch)
        sample.add(batch)
    drawn = sample.frame()
    return counts, None if drawn is None else _by_bins(profile, drawn)


def _by_bins(profile: Profile, sample: pl.DataFrame) -> pl.DataFrame:
    kept = {f.name: sample[bins_column(f.name)] for f in profile.features if bins_column(f.name) in sample.columns}
    shown = [
        without_values(sample[f.name], kept[f.name], f.binned.bins)
        for f in profile.features
        if f.name in kept and kept[f.name].null_count() < sample.height
    ]
    return sample.with_columns(shown).drop([bins_column(name) for name in kept])
