"""Whether what this process remembers of production may still be served."""

import math
import time
from collections.abc import Callable

# One that goes on while the machine sleeps, where there is one: a lease must not outlive a nap.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_ABSENCE_GOOD_FOR_S = 1.0


def steady_clock() -> float:
    """Return seconds since some fixed point, never set back or forward."""
    return time.clock_gettime(_CLOCK)


class Lease:
    """Held for `length_s` from when the last renewal that succeeded was sent.

    A promotion waits until every worker has heard of it or holds no lease, by the database's clock, which starts a
    lease no earlier than we do. `clock` is given by tests.
    """

    def __init__(self, length_s: float, clock: Callable[[], float] = steady_clock) -> None:
        self.length_s = length_s
        self.clock = clock
        self.is_hearing = False  # whether a session of ours listens just now, as far as we know
        self._held_until = -math.inf
        self._absent_until = -math.inf

    @property
    def is_held(self) -> bool:
        """Say whether every change whose call has returned has been heard here."""
        return self.clock() < self._held_until

    def renew(self, sent_at: float) -> None:
        """Note that a renewal sent at `sent_at` was answered."""
        self._held_until = sent_at + self.length_s

    def note_absence(self, asked_at: float) -> None:
        """Note that the database server was proven to run for nobody at `asked_at`."""
        self._absent_until = asked_at + _ABSENCE_GOOD_FOR_S

    def covers_memory(self) -> bool:
        """Say whether remembered routes may be served: the lease is held, or nobody can promote anything just now."""
        now = self.clock()
        return now < self._held_until or now < self._absent_until
