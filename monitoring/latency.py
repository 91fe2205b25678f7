"""Latencies as a histogram that adds up and gives quantiles within a stated relative error."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

GAMMA: Final = 1.02
RELATIVE_ERROR: Final = (GAMMA - 1) / (GAMMA + 1)
"""How far a quantile may be from the exact one of that rank, as a share of it: just under 1 %."""
SMALLEST_MS: Final = 0.001
"""Faster than this counts as this fast; below it the relative error does not hold."""
_LAYOUT: Final = np.dtype([("bucket", "<i4"), ("requests", "<i8")])


@dataclass(frozen=True)
class LatencyHistogram:
    """Requests by bucket: bucket i holds latencies in (GAMMA**(i-1), GAMMA**i] milliseconds.

    The buckets of DDSketch (Masson, Rim and Lee, VLDB 2019), all of them kept; sums of histograms lose nothing.
    """

    buckets: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, latencies_ms: Iterable[float]) -> "LatencyHistogram":
        """Return the histogram of these latencies."""
        buckets: dict[int, int] = {}
        for latency_ms in latencies_ms:
            bucket = bucket_of(latency_ms)
            buckets[bucket] = buckets.get(bucket, 0) + 1
        return cls(buckets)

    @property
    def requests(self) -> int:
        """How many latencies were counted."""
        return sum(self.buckets.values())

    def __add__(self, other: "LatencyHistogram") -> "LatencyHistogram":
        """Return the histogram of both."""
        buckets = dict(self.buckets)
        for bucket, requests in other.buckets.items():
            buckets[bucket] = buckets.get(bucket, 0) + requests
        return LatencyHistogram(buckets)

    def quantile(self, share: float) -> float | None:
        """Return the latency (ms) that a share (0-1) of the requests does not pass, None without requests.

        Of the request of rank ceil(share * requests) (nearest rank), within RELATIVE_ERROR of its latency.
        """
        rank = max(1, math.ceil(share * self.requests))
        for bucket in sorted(self.buckets):
            rank -= self.buckets[bucket]
            if rank <= 0:
                return 2 * GAMMA**bucket / (GAMMA + 1)
        return None

    def to_bytes(self) -> bytes:
        """Return the histogram as it is stored."""
        return np.array(sorted(self.buckets.items()), dtype=_LAYOUT).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "LatencyHistogram":
        """Read what `to_bytes` wrote; of several, joined, the sum of all. ValueError for anything else."""
        stored = np.frombuffer(data, dtype=_LAYOUT)
        buckets, places = np.unique(stored["bucket"], return_inverse=True)
        requests = np.zeros(buckets.size, dtype=np.int64)
        np.add.at(requests, places, stored["requests"])
        return cls(dict(zip(buckets.tolist(), requests.tolist(), strict=True)))


def bucket_of(latency_ms: float) -> int:
    """Return the bucket of a latency."""
    return math.ceil(math.log(max(latency_ms, SMALLEST_MS)) / math.log(GAMMA))
