"""What is known of a stretch of a deployment's log, as sums: of two stretches they add up to those of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from monitoring.counts import WindowCounts
from monitoring.latency import LatencyHistogram
from monitoring.metrics import LabelCounts

Pair = tuple[str, str | None]
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class Sums:
    """A stretch's rows by status, its requests (failed: status >= 400), and what its answers and labels were.

    `counts` is None where the model has no reference profile. `pairs` (actual label, predicted label) count the
    labelled predictions, in classification.
    """

    log_rows: int = 0
    statuses: Mapping[int, int] = field(default_factory=dict)
    requests: int = 0
    failed: int = 0
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)
    counts: WindowCounts | None = None
    labels: LabelCounts = field(default_factory=lambda: LabelCounts(0, 0, 0.0))
    pairs: Mapping[Pair, int] = field(default_factory=dict)

    def __add__(self, other: "Sums") -> "Sums":
        """Return the sums of both; counts of one alone are those of both."""
        return Sums(
            self.log_rows + other.log_rows,
            _added(self.statuses, other.statuses),
            self.requests + other.requests,
            self.failed + other.failed,
            self.latency + other.latency,
            _both(self.counts, other.counts),
            self.labels + other.labels,
            _added(self.pairs, other.pairs),
        )


def _both(mine: WindowCounts | None, theirs: WindowCounts | None) -> WindowCounts | None:
    if mine is None or theirs is None:
        return theirs if mine is None else mine
    return mine + theirs


def _added(mine: Mapping[_Key, int], theirs: Mapping[_Key, int]) -> dict[_Key, int]:
    summed = dict(mine)
    for key, count in theirs.items():
        summed[key] = summed.get(key, 0) + count
    return summed
