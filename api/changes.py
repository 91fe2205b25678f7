"""Hearing of changes that other processes (and this one) made, so that nothing remembered outlives the truth."""

import asyncio
import logging
import uuid
from contextlib import suppress

import psycopg

from api.auth import KeyRing
from api.scoring.registry import Registry
from monitoring.store.changes import CHANNEL
from monitoring.store.database import Database

logger = logging.getLogger(__name__)

_PAUSE_S = 1.0
_RECHECK_S = 30.0


class ChangeListener:
    """Keeps the registry and the key ring in step: by LISTEN, and by a slow comparison for what went unheard."""

    def __init__(self, database: Database, registry: Registry, key_ring: KeyRing) -> None:
        self._url = database.url
        self._registry = registry
        self._key_ring = key_ring
        self._refreshes: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self.is_listening = False

    def start(self) -> None:
        """Begin listening and comparing, in the running loop."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._recheck())]

    async def close(self) -> None:
        """Stop."""
        tasks = [*self._tasks, *self._refreshes]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear_until_cut()
            except psycopg.Error as error:
                if self.is_listening:
                    logger.warning("the connection that hears of changes broke: %s", error)
            self.is_listening = False
            await asyncio.sleep(_PAUSE_S)

    async def _hear_until_cut(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._url,
            autocommit=True,
            connect_timeout=3,
            application_name="pilothouse-changes",
            keepalives_idle=10,
            tcp_user_timeout=10_000,
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self.is_listening = True
            self._registry.forget_all()
            self._key_ring.forget()
            self._spawn_refresh()
            async for notification in connection.notifies():
                self._hear(notification.payload)

    def _hear(self, payload: str) -> None:
        kind, _, identifier = payload.partition(":")
        if kind == "key":
            self._key_ring.forget(identifier)
            return
        with suppress(ValueError):
            changed = uuid.UUID(identifier)
            if kind == "project":
                self._registry.forget_project(changed)
            elif kind == "deployment":
                self._registry.forget_deployment(changed)
                self._spawn_refresh(changed)

    def _spawn_refresh(self, deployment_id: uuid.UUID | None = None) -> None:
        """Load in the background: hearing must not wait for it."""
        registry = self._registry
        work = registry.refresh_active() if deployment_id is None else registry.refresh(deployment_id)
        task = asyncio.create_task(work)
        self._refreshes.add(task)
        task.add_done_callback(self._refreshed)

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        self._refreshes.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("cannot load the active deployments now: %s", error)

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(_RECHECK_S)
            try:
                await self._registry.forget_changed()
            except Exception as error:
                logger.warning("cannot compare the deployments with the database: %s", error)
