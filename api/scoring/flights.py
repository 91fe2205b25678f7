"""One piece of work however many wait for its result."""

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_T = TypeVar("_T")


class Flights(Generic[_K, _T]):
    """Runs blocking work by key in an executor; who asks while it runs gets the same result or failure."""

    def __init__(self, executor: Executor, work: Callable[[_K], _T]) -> None:
        self._executor = executor
        self._work = work
        self._pending: dict[_K, asyncio.Future[_T]] = {}

    async def join(self, key: _K) -> _T:
        """Return what the work returns for the key; a waiter that is cancelled does not stop it for the others."""
        pending = self._pending.get(key)
        if pending is None:
            pending = asyncio.get_running_loop().run_in_executor(self._executor, self._work, key)
            self._pending[key] = pending
            pending.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(pending)

    async def join_fresh(self, key: _K) -> _T:
        """Return what the work returns when it begins after this call: one under way may have looked too early."""
        under_way = self._pending.get(key)
        if under_way is not None:
            await asyncio.wait({under_way})
        return await self.join(key)

    def _finish(self, key: _K, done: asyncio.Future[_T]) -> None:
        self._pending.pop(key, None)
        if not done.cancelled():
            done.exception()  # every waiter may have gone
