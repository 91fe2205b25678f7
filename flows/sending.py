"""Sending what is due: one thread speaks with the database, many with the receivers.

A round records what has come back and claims what is due in one transaction; the sends run outside any. A channel that
does not take its notices gets one attempt at a time, further and further apart, and holds up no other.
"""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from monitoring.store.clock import database_time
from monitoring.store.database import Database
from monitoring.store.outbox import (
    Claimed,
    Result,
    abandon_undeliverable,
    claim_due,
    next_due,
    record_results,
    slow_channels,
)

THREADS = 64
PER_CHANNEL = 8
_LEASE_BEYOND_SENDING_S = 20.0
_LONGEST_HOLD_S = 60.0
_OUTAGE_S = 20.0
_LOOK_AGAIN_S = 0.5

Send = Callable[[Claimed, datetime], Result]
Clock = Callable[[Session], datetime]


@dataclass(frozen=True)
class Sent:
    """What a pass did: attempts by what became of them, and when the next delivery is due (None: nothing waits)."""

    sent: int
    retried: int
    failed: int
    next_due: datetime | None
    ended_at: datetime


@dataclass
class Pace:
    """Which channels are given one attempt at a time, and until when each is left alone."""

    slow: set[uuid.UUID] = field(default_factory=set)
    failures: dict[uuid.UUID, int] = field(default_factory=dict)
    held_until: dict[uuid.UUID, datetime] = field(default_factory=dict)

    def note(self, channel_id: uuid.UUID, result: Result, now: datetime) -> None:
        """Learn from an attempt: 1 s of rest after a first failure, doubling to a minute; Retry-After where longer."""
        if result.status != "retry":
            self.slow.discard(channel_id)
            self.failures.pop(channel_id, None)
            self.held_until.pop(channel_id, None)
            return
        self.slow.add(channel_id)
        count = self.failures[channel_id] = self.failures.get(channel_id, 0) + 1
        rest_s = max(min(2.0 ** (count - 1), _LONGEST_HOLD_S), result.retry_after_s or 0.0)
        until = now + timedelta(seconds=rest_s)
        self.held_until[channel_id] = max(until, self.held_until.get(channel_id, until))

    def held(self, now: datetime) -> dict[uuid.UUID, datetime]:
        """Return the channels to leave alone at `now`, each with the end of its rest."""
        return {channel_id: until for channel_id, until in self.held_until.items() if until > now}


@dataclass
class Sender:
    """Sends through `send`, from the outbox of `database`."""

    database: Database
    send: Send
    timeout_s: float
    clock: Clock = database_time
    threads: int = THREADS
    per_channel: int = PER_CHANNEL
    _flying: "dict[Future[Result], Claimed]" = field(default_factory=dict)
    _landed: list[tuple[Claimed, Result]] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=lambda: {"sent": 0, "retry": 0, "failed": 0})

    @property
    def lease(self) -> timedelta:
        """Return how long a claim holds: longer than a send can take, looking up names and connecting included."""
        return timedelta(seconds=2 * self.timeout_s + _LEASE_BEYOND_SENDING_S)

    def drain(self, *, seconds: float, patience_s: float) -> Sent:
        """Send for up to `seconds` (and until what is under way has come back); end when nothing is due for a while.

        A while is `patience_s`. Raises OperationalError when the database stays away; claims then run out.
        """
        deadline = time.monotonic() + seconds
        with self.database.transaction() as session:
            abandon_undeliverable(session, now=self.clock(session))
            pace = Pace(slow_channels(session))
        with ThreadPoolExecutor(self.threads, thread_name_prefix="send") as pool:
            while True:
                is_open = time.monotonic() < deadline
                now, claimed, due = self._round(pace, is_open=is_open)
                for one in claimed:
                    self._flying[pool.submit(self.send, one, now)] = one
                if self._flying:
                    self._collect()
                elif not is_open or due is None or (due - now).total_seconds() > patience_s:
                    return Sent(self._counts["sent"], self._counts["retry"], self._counts["failed"], due, now)
                else:
                    time.sleep(min(max((due - now).total_seconds(), 0.05), _LOOK_AGAIN_S))

    def _round(self, pace: Pace, *, is_open: bool) -> tuple[datetime, list[Claimed], datetime | None]:
        """Record what came back and claim what is due; wait for a database that is away for a short time."""
        patience_ends = time.monotonic() + _OUTAGE_S
        while True:
            try:
                return self._transact(pace, is_open=is_open)
            except OperationalError:
                if time.monotonic() > patience_ends:
                    raise
                time.sleep(_LOOK_AGAIN_S)

    def _transact(self, pace: Pace, *, is_open: bool) -> tuple[datetime, list[Claimed], datetime | None]:
        with self.database.transaction() as session:
            now = self.clock(session)
            record_results(session, self._landed, now=now)
            for claimed, result in self._landed:
                pace.note(claimed.channel_id, result, now)
            held = pace.held(now)
            taken = self._claim(session, now, pace, held) if is_open else []
            due = None if taken or self._flying else next_due(session, held=held)
        for _, result in self._landed:
            self._counts[result.status] += 1
        self._landed = []
        return now, taken, min((one for one in (due, *held.values()) if one is not None), default=None)

    def _claim(self, session: Session, now: datetime, pace: Pace, held: dict[uuid.UUID, datetime]) -> list[Claimed]:
        free = self.threads - len(self._flying)
        if free == 0:
            return []
        return claim_due(
            session,
            now=now,
            limit=free,
            lease=self.lease,
            per_channel=self.per_channel,
            slow=pace.slow,
            held=held,
        )

    def _collect(self) -> None:
        done, _ = wait(self._flying, timeout=_LOOK_AGAIN_S, return_when=FIRST_COMPLETED)
        for future in done:
            self._landed.append((self._flying.pop(future), future.result()))
