"""The stretch of time a measurement looks at."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DEFAULT_WINDOW_MINUTES = 1440
MAX_WINDOW_MINUTES = 44_640  # 31 days


@dataclass(frozen=True)
class Window:
    """A half-open stretch of UTC time: `start` belongs to it, `end` does not."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Refuse naive times and a window that does not move forward."""
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("A window's times must be aware")
        if self.start >= self.end:
            raise ValueError("A window must end after it starts")


def trailing_window(now: datetime, minutes: int = DEFAULT_WINDOW_MINUTES) -> Window:
    """Return the window of `minutes` (1 to 44,640) that ends at `now`."""
    if not 1 <= minutes <= MAX_WINDOW_MINUTES:
        raise ValueError(f"A window has 1 to {MAX_WINDOW_MINUTES} minutes, not {minutes}")
    if now.tzinfo is None:
        raise ValueError("A window's times must be aware")
    end = now.astimezone(UTC)
    return Window(end - timedelta(minutes=minutes), end)
