"""The rows that wait for log or spool: bounded, in order of arrival, each with the handler that waits for it."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from api.errors import Unavailable
from api.inference_log.batch import Batch, Ending, Waiting
from api.inference_log.rows import LoggedRequest
from api.inference_log.tally import MINUTE_US, Tally


@dataclass(frozen=True, kw_only=True)
class WriterBounds:
    """What the log writer may hold, how long a handler waits for it at most, and when a row goes to the spool.

    What no batch tells the ledger is told every `tell_every_s`.
    """

    wait_s: float = 5.0
    spool_after_s: float = 1.0
    tell_every_s: float = 2.0
    backlog_rows: int = 200_000
    backlog_bytes: int = 64 * 2**20
    batch_bytes: int = 8 * 2**20


@dataclass(slots=True)
class LogCounters:
    """What became of the rows since the process started: served = stored + spooled + refused + backlog, at any time."""

    served_rows: int = 0
    stored_rows: int = 0
    spooled_rows: int = 0
    refused_rows: int = 0
    backlog_rows: int = 0
    backlog_bytes: int = 0
    stored_batches: int = 0
    last_batch_rows: int = 0


class Backlog:
    """A bounded queue of requests. Every request that enters ends as stored, spooled or refused, once."""

    def __init__(self, bounds: WriterBounds, counters: LogCounters, tally: Tally) -> None:
        self._bounds = bounds
        self._counters = counters
        self._tally = tally
        self._queue: deque[Waiting] = deque()
        self._held: list[Batch] = []
        self._spooling: list[Waiting] = []

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, rows: LoggedRequest) -> asyncio.Future[Ending]:
        """Queue a request's rows and return what says where they ended. Raises Unavailable when full."""
        counters, bounds = self._counters, self._bounds
        waiting_rows, size = counters.backlog_rows + rows.row_count, counters.backlog_bytes + rows.size_bytes
        if waiting_rows > bounds.backlog_rows or size > bounds.backlog_bytes:
            self.turn_away(rows)
            raise Unavailable("More predictions wait to be logged than the server holds: send fewer at once")
        counters.served_rows += rows.row_count
        counters.backlog_rows, counters.backlog_bytes = waiting_rows, size
        waiting = Waiting(rows, time.monotonic(), asyncio.get_running_loop().create_future())
        self._tally.serve(waiting.minute, rows.row_count)
        self._queue.append(waiting)
        return waiting.ending

    def turn_away(self, rows: LoggedRequest) -> None:
        """Count rows that are refused as they come."""
        minute = rows.stamp.instant_us // MINUTE_US
        self._counters.served_rows += rows.row_count
        self._counters.refused_rows += rows.row_count
        self._tally.serve(minute, rows.row_count)
        self._tally.refuse(minute, rows.row_count)

    @property
    def oldest_since(self) -> float | None:
        """When (time.monotonic) the request came that has waited longest for log or spool. From any thread."""
        waiting = [*self._spooling]
        with suppress(IndexError):
            waiting.append(self._queue[0])
        waiting += [request for batch in self._held for request in batch.requests if not request.decided]
        return min((request.since for request in waiting), default=None)

    def take(self, at_most: int | None = None) -> Batch | None:
        """Take, oldest first, what one transaction may hold."""
        taken: list[Waiting] = []
        size = 0
        while self._queue and (at_most is None or len(taken) < at_most):
            if taken and size + self._queue[0].rows.size_bytes > self._bounds.batch_bytes:
                break
            taken.append(self._queue.popleft())
            size += taken[-1].rows.size_bytes
        if not taken:
            return None
        for request in taken:
            request.held = True
        batch = Batch(taken)
        self._held.append(batch)
        return batch

    def settle(self, batch: Batch) -> None:
        """Tell the handlers of a batch that their rows are durable. What is on its way to the spool ends there."""
        self._counters.stored_batches += 1
        self._counters.last_batch_rows = batch.row_count
        self._held.remove(batch)
        for request in batch.requests:
            request.held = False
            if request.in_doubt:
                self._tally.resolve(request.minute, request.rows.row_count, stored=True)
            elif request.spooling:
                request.committed = True
                request.tell("stored")
            elif not request.decided:
                self._end_as_stored(request)

    def let_go(self, batch: Batch) -> None:
        """Return to the head of the queue what a batch did not store and never will."""
        self._held.remove(batch)
        for request in batch.requests:
            request.held = False
            if request.in_doubt:
                self._tally.resolve(request.minute, request.rows.row_count, stored=False)
        self._put_back([request for request in batch.requests if request.is_free])

    def refuse(self, requests: Iterable[Waiting], reason: str) -> None:
        """Tell those who still wait that their rows are not stored; what goes to the spool is counted there."""
        for request in requests:
            if request.is_free:
                request.in_doubt = request.held
                (self._tally.doubt if request.held else self._tally.refuse)(request.minute, request.rows.row_count)
                self._counters.refused_rows += self._release(request)
            request.tell(Unavailable(reason))

    def refuse_queued(self, request: Waiting, reason: str) -> None:
        """Refuse a request that waits in the queue, unless it has left for the spool."""
        if request.is_free:
            self._queue.remove(request)
            self.refuse([request], reason)

    def refuse_overdue(self, reason: str) -> None:
        """Refuse what has waited for longer than the bound, in the queue or in a batch."""
        limit = time.monotonic() - self._bounds.wait_s
        while self._queue and self._queue[0].since < limit:
            self.refuse([self._queue.popleft()], reason)
        for requests in (self._spooling, *(batch.requests for batch in self._held)):
            self.refuse((each for each in requests if each.since < limit and not each.decided), reason)

    def take_to_spool(self, *, everything: bool) -> list[Waiting]:
        """Take for the spool what has waited for longer than its bound, or all; batches keep what they hold too."""
        limit = time.monotonic() - (0.0 if everything else self._bounds.spool_after_s)
        taken = [r for batch in self._held for r in batch.requests if r.is_free and r.since <= limit]
        size = sum(request.rows.size_bytes for request in taken)
        while self._queue and self._queue[0].since <= limit and size < self._bounds.batch_bytes:
            taken.append(self._queue.popleft())
            size += taken[-1].rows.size_bytes
        for request in taken:
            request.spooling = True
        self._spooling = taken
        return taken

    def end_as_spooled(self, requests: Iterable[Waiting]) -> None:
        """Tell the handlers that their rows are safe on this machine's disk."""
        self._spooling = []
        for request in requests:
            request.spooling = False
            self._tally.spool(request.minute, request.rows.row_count)
            self._counters.spooled_rows += self._release(request)
            request.tell("spooled")

    def return_from_spool(self, requests: Sequence[Waiting], *, refuse: str | None) -> None:
        """Take back what the spool did not take; what no batch has waits on, or is refused for the reason given."""
        self._spooling = []
        for request in requests:
            request.spooling = False
            if request.committed:
                self._end_as_stored(request)
        loose = [request for request in requests if request.is_free and not request.held]
        if refuse is None:
            self._put_back(loose)
        else:
            self.refuse(loose, refuse)

    def _put_back(self, requests: list[Waiting]) -> None:
        self._queue.extendleft(reversed(requests))

    def _end_as_stored(self, request: Waiting) -> None:
        self._counters.stored_rows += self._release(request)
        request.tell("stored")

    def _release(self, request: Waiting) -> int:
        request.decided = True
        self._counters.backlog_rows -= request.rows.row_count
        self._counters.backlog_bytes -= request.rows.size_bytes
        return request.rows.row_count
