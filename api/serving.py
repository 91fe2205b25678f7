"""The serving side of the API process: loaded models, the log writer, and what keeps both in step with the database."""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from api.auth import KeyRing
from api.changes import ChangeListener
from api.gathering import Gathering
from api.inference_log.backlog import WriterBounds
from api.inference_log.spool import Spool, SpoolBounds
from api.inference_log.writer import LogWriter
from api.lease import Lease
from api.lifecycle import Lifecycle
from api.peers import Peers
from api.privacy.keys import project_key
from api.privacy.loading import PrivacyLoader
from api.privacy.overrides import Overrides
from api.scoring.jvm import start_jvm
from api.scoring.registry import Registry
from api.scoring.shelf import ScorerShelf
from api.settings import Settings
from monitoring.store.database import Database
from monitoring.store.ids import new_id
from monitoring.store.partitions import ensure_partitions
from monitoring.store.workers import Worker

logger = logging.getLogger(__name__)

_PARTITIONS_EVERY_S, _PARTITIONS_AGAIN_S = 3600.0, 30.0
_SCORING_THREADS = 2
_FIRST_LEASE_S = 2.0


class Serving:
    """What routes need to predict and to change deployments. Open within the application's lifespan."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.worker_id = new_id()  # of this process
        worker = Worker(self.worker_id, socket.gethostname(), os.getpid())
        self.lease = Lease(settings.production_lease_s)
        self._jvm_heap_mb = settings.jvm_heap_mb
        # predictions never queue behind management
        self._database = Database(database.url, pool_size=3, pool_timeout_s=2)
        self._management_database = database
        self.key_ring = KeyRing(self._database)
        shelf = ScorerShelf(self._database, settings.home / "models", jvm_heap_mb=settings.jvm_heap_mb)
        self.privacy = PrivacyLoader(self._database, partial(project_key, settings))
        self.overrides = Overrides(self.privacy)
        self.registry = Registry(self._database, shelf, self.privacy.of, self.lease)
        bounds = WriterBounds(spool_after_s=settings.spool_after_ms / 1000)
        self.writer = LogWriter(
            self._database, bounds, worker_id=self.worker_id, spool=_spool(settings, self.worker_id)
        )
        self.lifecycle = Lifecycle(database, self.registry, Peers(database, self.worker_id, self.lease.length_s))
        self.listener = ChangeListener(self._database, self.registry, self.key_ring, self.lease, worker)
        self.gathering = Gathering()
        self.scoring_threads = ThreadPoolExecutor(_SCORING_THREADS, thread_name_prefix="scoring")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve inside the block; at its end what was accepted is stored, then all is let go."""
        await asyncio.to_thread(start_jvm, self._jvm_heap_mb)
        self.writer.start()
        self.listener.on_silence = self._cut_connections
        self.listener.start()
        await self.listener.first_lease(_FIRST_LEASE_S)
        partitions = asyncio.create_task(self._keep_partitions_ahead())
        try:
            yield
        finally:
            partitions.cancel()
            await asyncio.gather(partitions, return_exceptions=True)
            await self.listener.close()
            await self.writer.close()
            self.key_ring.close()
            self.registry.close()
            self.scoring_threads.shutdown(wait=False, cancel_futures=True)
            await asyncio.to_thread(self._database.close)

    def predicts_without_database(self) -> bool:
        """Say whether predictions go on while the database is away: models are in memory, and the spool takes rows."""
        return len(self.registry) > 0 and self.writer.is_spooling

    def _cut_connections(self) -> None:
        """Free the threads that wait for a database that says nothing any more."""
        for database in (self._database, self._management_database):
            database.cut_all()

    async def _keep_partitions_ahead(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._ensure_partitions)
                await asyncio.sleep(_PARTITIONS_EVERY_S)
            except Exception as error:
                logger.warning("cannot create the log's coming partitions now: %s", error)
                await asyncio.sleep(_PARTITIONS_AGAIN_S)

    def _ensure_partitions(self) -> None:
        with self._database.transaction() as session:
            ensure_partitions(session, now=datetime.now(UTC))


def _spool(settings: Settings, worker_id: uuid.UUID) -> Spool | None:
    """Return this process's spool, or None when the settings want none."""
    if not settings.spool_mb:
        return None
    return Spool(settings.home / "spool", worker_id, SpoolBounds(max_bytes=settings.spool_mb * 2**20))
