"""The six metrics that alert rules watch, each a pure function from counts to a Reading."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RequestCounts:
    """What was logged of a window's requests: how many, how many of status >= 400, and their exact p99 latency."""

    requests: int
    failed: int
    p99_ms: float | None
