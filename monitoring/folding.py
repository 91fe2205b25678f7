"""The log added up by UTC minute: what a rollup's slices hold, but for labels."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitoring.bins import Bins
from monitoring.counts import WindowCounts
from monitoring.latency import GAMMA, SMALLEST_MS, LatencyHistogram
from monitoring.masked import masked_positions
from monitoring.payloads import LogBatch, WholeBatch
from monitoring.profile import FeatureProfile, Profile
from monitoring.slices import Sums

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAILED = 400
_MINUTE_US = 60_000_000

Counts = NDArray[np.int64]
Places = NDArray[np.int64]


def floor_minute(instant: datetime) -> datetime:
    """Return the UTC minute an aware instant lies in."""
    return instant.astimezone(UTC).replace(second=0, microsecond=0)


def floor_hour(instant: datetime) -> datetime:
    """Return the UTC hour an aware instant lies in."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def fold_minutes(profile: Profile | None, batches: Iterable[WholeBatch]) -> dict[datetime, Sums]:
    """Return the sums of each UTC minute that has rows; without a profile their `counts` are None.

    Memory is that of a batch, some 20 bytes a request, and a minute's sums for each minute.
    """
    counted: dict[int, Counts] = {}
    statuses: list[pl.DataFrame] = []
    requests: list[pl.DataFrame] = []
    for batch in batches:
        rows = batch.rows.with_columns(_minute().alias("minute"))
        statuses.append(rows.group_by("minute", "status_code").len())
        requests.append(rows.unique(["created_at", "request"]))
        if profile is not None:
            _add(counted, *count_minutes(profile, batch.answered))
    if not statuses:
        return {}
    by_status = pl.concat(statuses).group_by("minute", "status_code").agg(pl.col("len").sum())
    found = _sums_of_rows(by_status, pl.concat(requests).unique(["created_at", "request"]))
    empty = None if profile is None else WindowCounts.empty(profile).to_vector()
    return {
        _EPOCH + minute * MINUTE: sums + _counts_alone(profile, counted.get(minute, empty))
        for minute, sums in sorted(found.items())
    }


def count_minutes(profile: Profile, batch: LogBatch) -> tuple[list[int], Counts]:
    """Return the minutes (since 1970) of a batch's rows, and for each the vector of its `WindowCounts`."""
    bare = batch.answers.clear() if batch.bare_answers is None else batch.bare_answers
    of_rows, of_bare = batch.answers.select(_minute()).to_series(), bare.select(_minute()).to_series()
    minutes, slices = np.unique(np.concatenate([of_rows.to_numpy(), of_bare.to_numpy()]), return_inverse=True)
    rows, skipped = slices[: of_rows.len()].astype(np.int64), slices[of_rows.len() :].astype(np.int64)
    tally = _Tally(minutes.size)
    tally.count(rows)
    tally.count(skipped)
    for feature in profile.features:
        _count_feature(tally, feature, batch, rows)
    if profile.score is not None:
        tally.place(rows, profile.score.bins, batch.answers["score"])
    if profile.labels is not None:
        tally.place(rows, profile.labels.bins, batch.answers["prediction"])
    column = "score" if profile.labels is None else "prediction"
    every = pl.concat([batch.answers[column], bare[column]])
    tally.place(np.concatenate([rows, skipped]), profile.answers.bins, every)
    return minutes.tolist(), tally.vectors()


class _Tally:
    """Counts by slice and bin, a part of the vector after the other; those of masked values come last."""

    def __init__(self, slices: int) -> None:
        self._slices = slices
        self._parts: list[Counts] = []
        self._masked: list[Counts] = []
        self._known: list[Counts] = []

    def count(self, slices: Places) -> None:
        """Count one for each."""
        self._parts.append(self.sums(slices, np.zeros_like(slices), 1))

    def place(self, slices: Places, bins: Bins, values: pl.Series) -> None:
        """Count values into bins."""
        self._parts.append(self.sums(slices, bins.positions(values), bins.size))

    def place_feature(self, counts: Counts, masked: Counts, known: Counts) -> None:
        """Take a feature's counts."""
        self._parts.append(counts)
        self._masked.append(masked)
        self._known.append(known)

    def sums(self, slices: Places, places: NDArray[np.intp], size: int) -> Counts:
        """Return how many of `places` (0 to `size`) each slice has."""
        counted = np.bincount(slices * size + places, minlength=self._slices * size)
        return counted.astype(np.int64).reshape(self._slices, size)

    def vectors(self) -> Counts:
        """Return a row per slice."""
        return np.concatenate([*self._parts, *self._masked, *self._known], axis=1)


def _count_feature(tally: _Tally, feature: FeatureProfile, batch: LogBatch, slices: Places) -> None:
    bins, values = feature.binned.bins, batch.inputs[feature.name]
    if batch.bins is None or feature.name not in batch.bins.columns:
        none = tally.sums(slices[:0], slices[:0], 1)
        tally.place_feature(tally.sums(slices, bins.positions(values), bins.size), none, none)
        return
    kept = batch.bins[feature.name]
    is_masked = kept.is_not_null().to_numpy()
    plain = tally.sums(slices[~is_masked], bins.positions(values.filter(kept.is_null())), bins.size)
    places, of_masked = masked_positions(bins, kept.drop_nulls()), slices[is_masked]
    placed = tally.sums(of_masked[places >= 0], places[places >= 0], bins.size)
    known = of_masked[places < 0]
    tally.place_feature(
        plain + placed,
        tally.sums(of_masked, np.zeros_like(of_masked), 1),
        tally.sums(known, np.zeros_like(known), 1),
    )


def _minute() -> pl.Expr:
    return pl.col("created_at").dt.epoch("us") // _MINUTE_US


def _add(counted: dict[int, Counts], minutes: list[int], vectors: Counts) -> None:
    for minute, vector in zip(minutes, vectors, strict=True):
        if minute in counted:
            counted[minute] += vector
        else:
            counted[minute] = vector.copy()


def _counts_alone(profile: Profile | None, vector: Counts | None) -> Sums:
    return Sums() if profile is None or vector is None else Sums(counts=WindowCounts.from_vector(profile, vector))


def _sums_of_rows(by_status: pl.DataFrame, requests: pl.DataFrame) -> dict[int, Sums]:
    statuses: dict[int, dict[int, int]] = {}
    for minute, status, rows in by_status.sort("minute", "status_code").iter_rows():
        statuses.setdefault(minute, {})[status] = rows
    latencies = np.maximum(requests["latency_ms"].to_numpy().astype(np.float64), SMALLEST_MS)
    placed = requests.with_columns(bucket=np.ceil(np.log(latencies) / np.log(GAMMA)).astype(np.int32))
    buckets: dict[int, dict[int, int]] = {}
    for minute, bucket, count in placed.group_by("minute", "bucket").len().sort("minute", "bucket").iter_rows():
        buckets.setdefault(minute, {})[bucket] = count
    failed = dict(requests.filter(pl.col("status_code") >= _FAILED).group_by("minute").len().iter_rows())
    return {
        minute: Sums(
            log_rows=sum(its.values()),
            statuses=its,
            requests=sum(buckets[minute].values()),
            failed=failed.get(minute, 0),
            latency=LatencyHistogram(buckets[minute]),
        )
        for minute, its in statuses.items()
    }
