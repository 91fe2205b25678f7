"""All connections of this process: how many there may be, which of them idle, and who waits for too long."""

import asyncio
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How many connections there may be, and how long they may take, in seconds."""

    connections: int = 2000
    headers_s: float = 10
    body_s: float = 30
    answer_s: float = 30
    idle_s: float = 75
    linger_s: float = 2
    answer_bytes_a_second: int = 64 * 1024

    @property
    def sweep_s(self) -> float:
        """How often connections are looked at."""
        return min(1.0, *(seconds / 4 for seconds in (self.headers_s, self.body_s, self.answer_s, self.idle_s)))


class Connection(Protocol):
    """What the crowd asks of a connection."""

    def check(self, now: float) -> None:
        """End what takes too long."""

    def end(self) -> None:
        """Close an idle connection."""


class Crowd:
    """The open connections; nobody waits in it for ever."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.closed_idle = 0
        self.turned_away = 0
        self.timed_out = 0
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}  # the one that has been idle longest comes first
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    @property
    def idle_count(self) -> int:
        """How many connections wait for a request."""
        return len(self._idle)

    def enter(self, connection: Connection) -> bool:
        """Let a connection in, the longest idle one giving way where there is no room. False: nobody gave way."""
        if len(self._open) >= self.bounds.connections and not self._make_room():
            self.turned_away += 1
            return False
        self._open.add(connection)
        self._idle[connection] = None
        if self._sweep is None:
            self._plan_sweep()
        return True

    def leave(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def begin(self, connection: Connection) -> None:
        """Note that a connection has a request."""
        self._idle.pop(connection, None)

    def rest(self, connection: Connection) -> None:
        """Note that a connection has none any more."""
        if connection in self._open:
            self._idle[connection] = None

    def _make_room(self) -> bool:
        for connection in self._idle:
            self.leave(connection)
            self.closed_idle += 1
            connection.end()
            return True
        return False

    def _plan_sweep(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(self.bounds.sweep_s, self._look)

    def _look(self) -> None:
        """Look at every connection, and again later as long as there are any."""
        now = asyncio.get_running_loop().time()
        for connection in list(self._open):
            connection.check(now)
        self._sweep = None
        if self._open:
            self._plan_sweep()
