"""Admission control: a prediction that would have to queue for long is turned away at once, before it is read.

What counts is the work at hand: requests admitted and not yet scored, in measured seconds of the event loop. What waits
for the disk does not count, for more of it makes larger commits and not a longer queue.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from api.errors import Unavailable
from api.service_time import ServiceTime
from api.turnstile import Turnstile

SMALL_BYTES = 64 * 1024
"""Bodies up to here are worked off in the event loop; larger ones are counted by their bytes."""
RETRY_AFTER_S = 1

_CALLERS = 64  # so many patient callers, each with one request, are never turned away...
_CALLERS_QUEUE = 16  # ... as long as their queue is no longer than so many times the setting
_BEGUN_A_TURN = 12
_SAMPLE = 32
_STARVED = 3.0  # time without the processor counts, up to so many times that with it: else something else is waited for
_MOST_IN_THREADS = 64


class Ticket:
    """A prediction that was admitted. It is closed when its answer has left, whatever became of it."""

    __slots__ = ("_admission", "_bytes", "_in_loop", "_in_thread", "cost_s", "kilobytes")

    def __init__(self, admission: "Admission | None", kilobytes: float = 0.0, large_bytes: int = 0) -> None:
        self._admission = admission
        self.kilobytes = kilobytes
        self.cost_s = 0.0
        self._bytes = large_bytes
        self._in_loop = False
        self._in_thread = False

    def enter(self, cost_s: float) -> None:
        """Begin to count as work of the loop."""
        self.cost_s, self._in_loop = cost_s, True

    def leave_loop(self) -> None:
        """Say that the loop's work is done: what is left is to wait for the log."""
        if self._in_loop and self._admission is not None:
            self._in_loop = False
            self._admission.worked_off(self)

    def enter_thread(self) -> None:
        """Say that a thread works on from here. Raises Unavailable when too many wait for one."""
        self.leave_loop()
        if not self._in_thread and self._admission is not None:
            self._admission.enter_thread()
            self._in_thread = True

    def grow(self, large_bytes: int) -> None:
        """Count a large body by what has come of it, where nobody said how long it will be."""
        if self._admission is not None and large_bytes > self._bytes:
            self._admission.large_bytes += large_bytes - self._bytes
            self._bytes = large_bytes

    def close(self) -> None:
        """Give back all that it holds; a second time does nothing."""
        self.leave_loop()
        if self._admission is not None:
            self._admission.large_bytes -= self._bytes
            self._admission.in_threads -= self._in_thread
            self._admission = None


class Admission:
    """Decides which predictions are let in, within one event loop."""

    def __init__(
        self,
        *,
        queue_s: float,
        most_large_bytes: int,
        on_shed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
        processor_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self.service_time = ServiceTime()
        self.turnstile = Turnstile(_BEGUN_A_TURN)
        self.at_hand = 0
        self.at_hand_s = 0.0
        self.in_threads = 0
        self.large_bytes = 0
        self.shed = 0
        self._on_shed = on_shed
        self._queue_s = queue_s
        self._most_large_bytes = most_large_bytes
        self._clock, self._processor_clock = clock, processor_clock
        self._busy_since = 0.0
        self._processor_at = 0.0
        self._busy_s, self._requests, self._kilobytes = 0.0, 0, 0.0

    def admit(self, body_bytes: int) -> Ticket | None:
        """Return the ticket of a prediction with this much body, or None: then it is to be turned away."""
        if body_bytes > SMALL_BYTES:
            return self._admit_large(body_bytes)
        kilobytes = body_bytes / 1024
        cost_s = self.service_time.expect(kilobytes)
        if self._is_too_long(self.at_hand_s + cost_s):
            self._turn_away()
            return None
        ticket = Ticket(self, kilobytes)
        ticket.enter(cost_s)
        if not self.at_hand:
            self._busy_since = self._clock()
        self.at_hand += 1
        self.at_hand_s += cost_s
        return ticket

    def _is_too_long(self, queue_s: float) -> bool:
        """Say whether a queue is longer than it may be; a single request makes none."""
        if not self.at_hand or queue_s <= self._queue_s:
            return False
        return self.at_hand >= _CALLERS or queue_s > _CALLERS_QUEUE * self._queue_s

    def _admit_large(self, body_bytes: int) -> Ticket | None:
        if self.large_bytes and self.large_bytes + body_bytes > self._most_large_bytes:
            self._turn_away()
            return None
        self.large_bytes += body_bytes
        return Ticket(self, large_bytes=body_bytes)

    def _turn_away(self) -> None:
        self.shed += 1
        self._on_shed()

    def enter_thread(self) -> None:
        """Count one more request that threads work on. Raises Unavailable when there are too many."""
        if self.in_threads >= _MOST_IN_THREADS:
            raise Unavailable(
                f"{_MOST_IN_THREADS} large predictions are under way: try again soon", retry_after_s=RETRY_AFTER_S
            )
        self.in_threads += 1

    def worked_off(self, ticket: Ticket) -> None:
        """Take a request's work off what is at hand, and learn from it what requests cost."""
        self.at_hand -= 1
        self.at_hand_s = self.at_hand_s - ticket.cost_s if self.at_hand else 0.0
        self._requests += 1
        self._kilobytes += ticket.kilobytes
        if self._requests >= _SAMPLE or not self.at_hand:
            now = self._clock()
            self._busy_s += now - self._busy_since
            self._busy_since = now
        if self._requests >= _SAMPLE:
            self._learn()

    def _learn(self) -> None:
        processor = self._processor_clock()
        seconds = min(self._busy_s, _STARVED * (processor - self._processor_at))
        self.service_time.learn(self._requests, self._kilobytes, seconds)
        self._processor_at = processor
        self._busy_s, self._requests, self._kilobytes = 0.0, 0, 0.0


_NO_TICKET = Ticket(None)


def ticket_of(scope: Mapping[str, Any]) -> Ticket:
    """Return the ticket of a request; where nobody asks for any (under another server) one that holds nothing."""
    ticket: Ticket = (scope.get("extensions") or {}).get("ticket", _NO_TICKET)
    return ticket
