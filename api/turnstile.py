"""Few requests begin in one turn of the event loop, so that turns stay short.

Whatever waits for the loop (the log's commits above all, which take several turns each) waits for a turn's length each
time: with all that is at hand begun at once, that would be many times what the work itself takes.
"""

import asyncio
from collections import deque
from collections.abc import Callable


class Turnstile:
    """Starts requests in the order they come, so many a turn."""

    def __init__(self, per_turn: int) -> None:
        self._per_turn = per_turn
        self._free = per_turn
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_planned = False

    def enter(self, start: Callable[[], None]) -> None:
        """Start now, or in one of the next turns."""
        if self._free:
            self._free -= 1
            start()
        else:
            self._waiting.append(start)
        self._plan()

    def _plan(self) -> None:
        if not self._is_planned:
            self._is_planned = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_planned = False
        self._free = self._per_turn
        while self._free and self._waiting:
            self._free -= 1
            self._waiting.popleft()()
        if self._free < self._per_turn:
            self._plan()
