"""The rows that wait to be stored: bounded, in order of arrival, each with the handler that waits for it."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from api.errors import Unavailable
from api.inference_log.batch import Batch, Waiting
from api.inference_log.rows import LoggedRequest


@dataclass(frozen=True, kw_only=True)
class WriterBounds:
    """What the log writer may hold, and how long a handler waits for it at most."""

    wait_s: float = 5.0
    backlog_rows: int = 200_000
    backlog_bytes: int = 64 * 2**20
    batch_bytes: int = 8 * 2**20


@dataclass(slots=True)
class LogCounters:
    """What became of the rows since the process started; backlog is what waits just now."""

    stored_rows: int = 0
    refused_rows: int = 0
    backlog_rows: int = 0
    backlog_bytes: int = 0
    stored_batches: int = 0
    last_batch_rows: int = 0


class Backlog:
    """A bounded queue of requests. Every request that enters is settled or refused, once."""

    def __init__(self, bounds: WriterBounds, counters: LogCounters) -> None:
        self._bounds = bounds
        self._counters = counters
        self._queue: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, rows: LoggedRequest) -> asyncio.Future[None]:
        """Queue a request's rows and return what resolves when they are durable. Raises Unavailable when full."""
        counters, bounds = self._counters, self._bounds
        waiting_rows, size = counters.backlog_rows + rows.row_count, counters.backlog_bytes + rows.size_bytes
        if waiting_rows > bounds.backlog_rows or size > bounds.backlog_bytes:
            counters.refused_rows += rows.row_count
            raise Unavailable("More predictions wait to be logged than the server holds: send fewer at once")
        counters.backlog_rows, counters.backlog_bytes = waiting_rows, size
        waiting = Waiting(rows, time.monotonic(), asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        return waiting.stored

    def take(self) -> Batch | None:
        """Take, oldest first, what one transaction may hold."""
        taken: list[Waiting] = []
        size = 0
        while self._queue and (not taken or size + self._queue[0].rows.size_bytes <= self._bounds.batch_bytes):
            taken.append(self._queue.popleft())
            size += taken[-1].rows.size_bytes
        return Batch(taken) if taken else None

    def put_back(self, requests: list[Waiting]) -> None:
        """Return taken requests to the head of the queue."""
        self._queue.extendleft(reversed(requests))

    def settle(self, batch: Batch) -> None:
        """Tell the handlers of a batch that their rows are durable."""
        self._counters.stored_batches += 1
        self._counters.last_batch_rows = batch.row_count
        for request in batch.requests:
            if not request.decided:
                self._counters.stored_rows += self._release(request)
                if not request.stored.done():
                    request.stored.set_result(None)

    def refuse(self, requests: Iterable[Waiting], reason: str) -> None:
        """Tell those who still wait that their rows are not stored."""
        for request in requests:
            if not request.decided:
                self._counters.refused_rows += self._release(request)
                if not request.stored.done():
                    request.stored.set_exception(Unavailable(reason))

    def refuse_overdue(self, in_flight: Batch | None, reason: str) -> None:
        """Refuse what has waited for longer than the bound, in the queue or in flight."""
        limit = time.monotonic() - self._bounds.wait_s
        while self._queue and self._queue[0].since < limit:
            self.refuse([self._queue.popleft()], reason)
        if in_flight is not None:
            self.refuse((request for request in in_flight.requests if request.since < limit), reason)

    def _release(self, request: Waiting) -> int:
        request.decided = True
        self._counters.backlog_rows -= request.rows.row_count
        self._counters.backlog_bytes -= request.rows.size_bytes
        return request.rows.row_count
