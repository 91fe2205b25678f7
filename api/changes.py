"""Hearing of changes that other processes (and this one) made, so that nothing remembered outlives the truth.

One session listens, and renews this worker's lease: PostgreSQL hands a session its notifications before it answers, so
a renewal that is answered proves that everything committed before it was sent has been heard.
"""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import psycopg

from api.auth import KeyRing
from api.lease import Lease
from api.scoring.registry import Registry
from monitoring.store.absence import is_server_gone
from monitoring.store.changes import CHANNEL
from monitoring.store.database import AWAY, Database, cut
from monitoring.store.workers import (
    OPEN_CHANGES,
    RENEW_LEASE,
    Worker,
    acknowledge_change,
    give_up_lease,
    lease_parameters,
)

logger = logging.getLogger(__name__)

_PAUSE_S = 0.25
_RECHECK_S = 30.0
_RENEW_S, _ANSWER_S = 2.5, 5.0  # at most, however long the lease
_LEAVE_S = 2.0
_SILENCES = 2  # connections in a row that nobody answers: the server is not merely slow
_T = TypeVar("_T")
_Connection = psycopg.AsyncConnection[Any]


class ChangeListener:
    """Keeps the registry and the key ring in step: by LISTEN, and by a slow comparison for what went unheard."""

    def __init__(self, database: Database, registry: Registry, key_ring: KeyRing, lease: Lease, worker: Worker) -> None:
        self._database = database
        self._registry = registry
        self._key_ring = key_ring
        self._lease = lease
        self._worker = worker
        self._background: set[asyncio.Task[bool]] = set()
        self._announced: deque[asyncio.Task[bool]] = deque(maxlen=64)
        self._tasks: list[asyncio.Task[None]] = []
        self._leased = asyncio.Event()
        self.on_silence: Callable[[], None] | None = None  # called when the database says nothing, not even no

    def start(self) -> None:
        """Begin listening and comparing, in the running loop."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._recheck())]

    async def first_lease(self, patience_s: float) -> None:
        """Return once a lease is held, or when that takes longer than we can wait."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._leased.wait(), patience_s)

    async def close(self) -> None:
        """Stop, and tell the others that they need not wait for us any more."""
        tasks = [*self._tasks, *self._background]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(*AWAY, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await asyncio.to_thread(self._give_up_lease)

    def _give_up_lease(self) -> None:
        with self._database.transaction() as session:
            give_up_lease(session, self._worker.worker_id)

    async def _listen(self) -> None:
        silences = 0
        while True:
            try:
                await self._hear_until_cut()
            except (psycopg.Error, OSError) as error:
                if self._lease.is_hearing:
                    logger.warning("the connection that hears of changes broke: %s", error)
                silences = silences + 1 if isinstance(error, psycopg.errors.ConnectionTimeout) else 0
                if silences >= _SILENCES and self.on_silence is not None:
                    self.on_silence()
            self._lease.is_hearing = False
            asked_at = self._lease.clock()
            if await is_server_gone(self._database.url):
                self._lease.note_absence(asked_at)
            await asyncio.sleep(_PAUSE_S)

    async def _hear_until_cut(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._database.url,
            autocommit=True,
            connect_timeout=3,
            application_name="pilothouse-changes",
            keepalives_idle=10,
            tcp_user_timeout=10_000,
        )
        async with connection:
            await self._answered(connection, connection.execute(f"LISTEN {CHANNEL}"))
            waited_for = await self._answered(connection, _read_open_changes(connection))
            self._registry.forget_all()
            self._key_ring.forget()
            self._lease.is_hearing = True
            await self._renew(connection)
            self._spawn(self._registry.refresh_active())
            self._spawn(self._acknowledge(waited_for))
            while True:
                async for notification in connection.notifies(timeout=min(_RENEW_S, self._lease.length_s / 4)):
                    self._hear(notification.payload)
                await self._renew(connection)

    async def _renew(self, connection: _Connection) -> None:
        """Renew the lease from when this is sent, having heard all that came before the answer."""
        sent_at = self._lease.clock()
        renewal = connection.execute(RENEW_LEASE, lease_parameters(self._worker, self._lease.length_s))
        await self._answered(connection, renewal)
        async for notification in connection.notifies(timeout=0):
            self._hear(notification.payload)
        self._lease.renew(sent_at)
        self._leased.set()

    async def _answered(self, connection: _Connection, work: Coroutine[Any, Any, _T]) -> _T:
        """Return what the database answers; cut a connection over which none comes for half the lease, or long."""
        working = asyncio.create_task(work)
        try:
            await asyncio.wait({working}, timeout=min(_ANSWER_S, self._lease.length_s / 2))
        finally:
            if not working.done():
                cut(connection.fileno())
                await asyncio.wait({working})
        return working.result()

    def _hear(self, payload: str) -> None:
        kind, _, identifier = payload.partition(":")
        if kind == "key":
            self._key_ring.forget(identifier)
            return
        with suppress(ValueError):
            changed = uuid.UUID(identifier)
            if kind == "project":
                self._registry.forget_project(changed)
                self._announced.append(self._spawn(self._registry.refresh_routes(changed)))
            elif kind == "deployment":
                self._registry.forget_deployment(changed)
                self._announced.append(self._spawn(self._registry.refresh(changed)))
            elif kind == "change":
                self._spawn(self._acknowledge([changed], tuple(self._announced)))
                self._announced.clear()

    async def _acknowledge(self, change_ids: list[uuid.UUID], after: Iterable[asyncio.Task[bool]] = ()) -> bool:
        """Say that we serve by these changes, once what was announced with them is loaded."""
        if not all(await asyncio.gather(*after)) or not change_ids:
            return False

        def write() -> None:
            with self._database.transaction() as session:
                for change_id in change_ids:
                    acknowledge_change(session, change_id, self._worker.worker_id)

        await asyncio.to_thread(write)
        return True

    def _spawn(self, work: Coroutine[Any, Any, bool]) -> asyncio.Task[bool]:
        """Work in the background: hearing must not wait for it."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[bool]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("cannot follow a change just now: %s", error)

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(_RECHECK_S)
            try:
                await self._registry.forget_changed()
            except Exception as error:
                logger.warning("cannot compare the deployments with the database: %s", error)


async def _read_open_changes(connection: _Connection) -> list[uuid.UUID]:
    return [change_id async for (change_id,) in await connection.execute(OPEN_CHANGES)]
