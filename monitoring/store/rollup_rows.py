"""Sums as rows of `rollup`, and rows as sums: one by one, or many added up at once."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from monitoring.counts import WindowCounts
from monitoring.latency import LatencyHistogram
from monitoring.metrics import LabelCounts
from monitoring.profile import Profile
from monitoring.slices import Sums

Key = TypeVar("Key")
_WIDTHS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.int64}
COLUMNS = "log_rows, statuses, requests, failed, latency, counts, labels, correct, squared_error, pairs"
"""What `decode` and `add_up` want of a row."""


class Row(Protocol):
    """A row of `rollup`, as an object with COLUMNS: a `Rollup`, a `Slice`, or a row of a SELECT."""

    log_rows: Any
    statuses: Any
    requests: Any
    failed: Any
    latency: Any
    counts: Any
    labels: Any
    correct: Any
    squared_error: Any
    pairs: Any


@dataclass(frozen=True)
class Slice:
    """The columns of a row of `rollup`, by their names."""

    deployment_id: uuid.UUID
    minutes: int
    start: datetime
    log_rows: int
    statuses: dict[str, int]
    requests: int
    failed: int
    latency: bytes
    counts: bytes | None
    labels: int
    correct: int
    squared_error: float
    pairs: list[list[Any]]
    folded_at: datetime


def encode(deployment_id: uuid.UUID, minutes: int, start: datetime, sums: Sums, *, folded_at: datetime) -> Slice:
    """Return the slice of `minutes` (1 or 60) that starts at `start` as it is stored."""
    return Slice(
        deployment_id=deployment_id,
        minutes=minutes,
        start=start,
        log_rows=sums.log_rows,
        statuses={str(status): rows for status, rows in sorted(sums.statuses.items())},
        requests=sums.requests,
        failed=sums.failed,
        latency=sums.latency.to_bytes(),
        counts=None if sums.counts is None else pack(sums.counts.to_vector()),
        labels=sums.labels.labels,
        correct=sums.labels.correct,
        squared_error=sums.labels.squared_error,
        pairs=[[actual, predicted, many] for (actual, predicted), many in sorted(sums.pairs.items(), key=str)],
        folded_at=folded_at,
    )


def decode(row: Row, profile: Profile | None) -> Sums:
    """Return the sums of a slice; `counts` is None without a profile. ValueError when it is of another profile."""
    return add_up([row], profile)


def add_up(rows: Sequence[Row], profile: Profile | None) -> Sums:
    """Return the sums of slices of one deployment. Counts are added as vectors: a month of hours takes milliseconds."""
    vectors = [] if profile is None else [unpack(row.counts) for row in rows if row.counts is not None]
    return Sums(
        log_rows=sum(row.log_rows for row in rows),
        statuses=_added((int(status), many) for row in rows for status, many in row.statuses.items()),
        requests=sum(row.requests for row in rows),
        failed=sum(row.failed for row in rows),
        latency=_latencies([bytes(row.latency) for row in rows]),
        counts=WindowCounts.from_vector(profile, np.sum(vectors, axis=0)) if profile and vectors else None,
        labels=LabelCounts(
            sum(row.labels for row in rows),
            sum(row.correct for row in rows),
            float(sum(row.squared_error for row in rows)),
        ),
        pairs=_added(((actual, predicted), many) for row in rows for actual, predicted, many in row.pairs),
    )


def pack(vector: NDArray[np.int64]) -> bytes:
    """Return counts as bytes: how wide each is (1, 2, 4 or 8), then all of them in the narrowest width that holds."""
    most = int(vector.max(initial=0))
    width = next(width for width in _WIDTHS if most < 1 << (8 * width - (width == 8)))
    return bytes([width]) + vector.astype(np.dtype(_WIDTHS[width]).newbyteorder("<")).tobytes()


def unpack(data: bytes) -> NDArray[np.int64]:
    """Read what `pack` wrote."""
    return np.frombuffer(data, dtype=np.dtype(_WIDTHS[data[0]]).newbyteorder("<"), offset=1).astype(np.int64)


def _latencies(stored: Sequence[bytes]) -> LatencyHistogram:
    return LatencyHistogram.from_bytes(b"".join(stored))


def _added(counted: Iterable[tuple[Key, int]]) -> dict[Key, int]:
    summed: dict[Key, int] = {}
    for key, many in counted:
        summed[key] = summed.get(key, 0) + many
    return summed
