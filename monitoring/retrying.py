"""When a delivery that could not be handed over is tried again."""

from datetime import datetime, timedelta
from typing import Final

RETRY_HORIZON: Final = timedelta(hours=24)
"""How long a delivery is tried before it counts as failed."""

_FIRST_WAIT_S: Final = 5.0
_LONGEST_WAIT_S: Final = 900.0
_SPREAD: Final = 0.25


def next_attempt(
    *, attempt: int, now: datetime, give_up_at: datetime, retry_after_s: float | None, jitter: float
) -> datetime | None:
    """Return when to try again after the `attempt`-th attempt (from 1) failed at `now`; None: give up.

    Waits 5 s and doubles with each attempt, up to 15 min, lengthened by up to a quarter (`jitter`, 0 to 1) so that
    deliveries that failed together do not return together; never before the receiver's `retry_after_s`, and never
    after `give_up_at`.
    """
    doubled = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(attempt - 1, 32))
    wait_s = max(doubled * (1 + _SPREAD * jitter), retry_after_s or 0.0)
    if wait_s > (give_up_at - now).total_seconds():
        return None
    return now + timedelta(seconds=wait_s)
