"""The inference log's writer: group commit. A handler that returns from `append` has its rows on disk.

One task stores all that has gathered in one transaction; what arrives meanwhile makes the next one. No timer: a single
request waits for one commit, and under load batches grow by themselves. What the database does not take in time goes to
the spool, if there is one, and joins the log later.
"""

import asyncio
import logging
import time
import uuid

import psycopg

from api.errors import Unavailable
from api.inference_log.backlog import Backlog, LogCounters, WriterBounds
from api.inference_log.batch import Batch, Ending
from api.inference_log.connection import (
    create_partitions,
    is_about_the_rows,
    is_at_work,
    is_logged,
    kind_of,
    open_connection,
)
from api.inference_log.replaying import Replaying
from api.inference_log.rows import LoggedRequest
from api.inference_log.spilling import Spilling
from api.inference_log.spool import Spool
from api.inference_log.tally import Tally
from monitoring.store.database import Database
from monitoring.store.ids import new_id

logger = logging.getLogger(__name__)

_SWEEP_S = 0.25
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_AWAY = "The inference log cannot be written just now: the database does not answer"


class LogWriter:
    """Stores log rows over a connection of its own, which it renews when it breaks."""

    def __init__(
        self,
        database: Database,
        bounds: WriterBounds | None = None,
        *,
        worker_id: uuid.UUID | None = None,
        spool: Spool | None = None,
    ) -> None:
        """Take a worker id of this process alone; without a spool, rows are refused while the database is away."""
        self._database = database
        self._bounds = bounds or WriterBounds()
        self.counters = LogCounters()
        self.tally = Tally(worker_id or new_id())
        self.spool = spool
        self._backlog = Backlog(self._bounds, self.counters, self.tally)
        self._spilling = Spilling(self._backlog, spool, lambda: self.is_away) if spool else None
        self._replaying = Replaying(database, spool, lambda: self.is_up) if spool else None
        self._in_flight: Batch | None = None
        self._narrow: int | None = None
        self._doubtful: list[Batch] = []
        self._connection: psycopg.AsyncConnection | None = None
        self._down_since: float | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._told_at = time.monotonic()
        self._wake = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._abandoned: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin storing, in the running loop."""
        work = [self._run(), self._sweep()]
        if self._spilling is not None and self._replaying is not None:
            work += [self._spilling.run(), self._replaying.run()]
        self._tasks = [asyncio.create_task(each) for each in work]

    async def close(self) -> None:
        """Take no more rows, store, spool or refuse those that wait, and close the connection."""
        self._closing = True
        self._wake.set()
        if self._replaying is not None:
            self._replaying.stop()
        await asyncio.wait(self._tasks[:1], timeout=self._bounds.wait_s + 2 * _SWEEP_S)
        for task in (*self._tasks, *self._abandoned):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._spilling is not None and self.spool is not None:
            await self._spilling.close()
            await asyncio.to_thread(self.spool.close)
        if self._connection is not None:
            await self._connection.close()

    @property
    def is_up(self) -> bool:
        """Say whether the log can be written just now, as far as we know."""
        return self._connection is not None and self._down_since is None

    @property
    def is_away(self) -> bool:
        """Say whether the database is known not to answer, so that waiting for it is in vain."""
        return self._connection is None and self._down_since is not None

    @property
    def is_spooling(self) -> bool:
        """Say whether rows that the database does not take are safe all the same."""
        spool = self.spool
        return spool is not None and self._spilling is not None and not self._spilling.is_failing and spool.has_room()

    @property
    def oldest_age_s(self) -> float:
        """How long the oldest row that is in neither log nor spool has waited, in seconds."""
        since = self._backlog.oldest_since
        return 0.0 if since is None else time.monotonic() - since

    async def append(self, rows: LoggedRequest) -> Ending:
        """Return when the rows are durable, and where.

        Raises Unavailable when log and spool are full, away or too slow: then the rows are not stored, or (a connection
        or disk that hung during their commit) it is not known.
        """
        if self._closing or (self._spilling is None and self._down_for(self._bounds.wait_s)):
            self._backlog.turn_away(rows)
            raise Unavailable("The server is stopping" if self._closing else _AWAY)
        ending = self._backlog.add(rows)
        self._wake.set()
        if self._spilling is not None and self.is_away:
            self._spilling.wake()
        return await ending

    def _down_for(self, seconds: float) -> bool:
        return self._down_since is not None and time.monotonic() - self._down_since > seconds

    async def _run(self) -> None:
        while self._is_wanted():
            if self._connection is None:
                await self._connect()
            elif self._doubtful:
                await self._resolve(self._connection)
            elif self._in_flight is not None:
                await self._store(self._in_flight, self._connection)
            elif (batch := await self._gather()) is not None:
                self._in_flight = batch
            elif not self.tally.is_told:
                await self._tell(self._connection)
            elif self._closing:
                await asyncio.sleep(_FIRST_PAUSE_S)

    def _is_wanted(self) -> bool:
        if not self._closing or self.counters.backlog_rows:
            return True
        return self._connection is not None and bool(self._doubtful or not self.tally.is_told)

    async def _gather(self) -> Batch | None:
        """Return what is to be stored next, once there is something; None when the ledger is to be told instead."""
        if not self._backlog and not self._closing:
            self._wake.clear()
            await self._wake.wait()
        return self._backlog.take(self._narrow)

    async def _store(self, batch: Batch, connection: psycopg.AsyncConnection) -> None:
        """Store a batch, or keep it in flight for another try; a connection that hangs leaves time for one."""
        minutes = self.tally.take_changed()
        storing = asyncio.create_task(batch.store(connection, self.tally, minutes))
        await asyncio.wait({storing}, timeout=self._bounds.wait_s / 2)
        if storing.done() and storing.exception() is None:
            self._settle(batch)
            return
        self.tally.give_back(minutes)
        if storing.done():
            await self._recover(batch, storing.exception())
        else:
            self._abandon(storing, batch)

    def _settle(self, batch: Batch) -> None:
        self._in_flight, self._narrow, self._down_since, self._pause_s = None, None, None, _FIRST_PAUSE_S
        self._told_at = time.monotonic()
        self._backlog.settle(batch)

    def _let_go(self, batch: Batch) -> None:
        """Keep a batch whose commit may happen for when that is known; what others hold waits for another try."""
        self._in_flight = None
        if batch.xid is not None:
            self._doubtful.append(batch)
        else:
            batch.is_let_go = True  # a connection that hung may yet come to its end
            self._backlog.let_go(batch)

    async def _recover(self, batch: Batch, error: BaseException | None) -> None:
        self._let_go(batch)
        match error:
            case psycopg.errors.CheckViolation():
                await self._create_partitions(batch)
            case psycopg.errors.UniqueViolation() if not all(request.is_free for request in batch.requests):
                pass  # what was spooled meanwhile has come to the log already; the others are stored without it
            case Exception() if batch.xid is not None or not is_about_the_rows(error):
                await self._disconnect(error)
            case _:
                self._split(batch, error)

    def _split(self, batch: Batch, error: BaseException | None) -> None:
        """Narrow down, half by half, which request's rows spoil a batch; alone, it is refused."""
        self._narrow = max(1, len(batch.requests) // 2)
        if len(batch.requests) == 1:
            [request], self._narrow = batch.requests, None
            kind = "" if error is None else kind_of(error)
            logger.error("PostgreSQL refuses a log row of deployment %s: %s", request.rows.deployment_id, kind)
            self._backlog.refuse_queued(request, "The inference log does not take this request's rows")

    async def _resolve(self, connection: psycopg.AsyncConnection) -> None:
        """Find out which transactions whose answer was lost happened, before anything else is stored or told."""
        try:
            for batch in [*self._doubtful]:
                witness = batch.witness
                if witness is not None and await is_at_work(connection, str(batch.xid)):
                    continue
                was_committed = witness is not None and await is_logged(connection, witness.rows)
                if batch.witness is witness:  # else it went to the spool meanwhile: ask again
                    self._doubtful.remove(batch)
                    (self._backlog.settle if was_committed else self._backlog.let_go)(batch)
        except psycopg.Error as error:
            await self._disconnect(error)
            return
        if self._doubtful:
            await self._rest()

    async def _tell(self, connection: psycopg.AsyncConnection) -> None:
        """Tell the ledger what no batch has told it."""
        minutes = self.tally.take_changed()
        try:
            await asyncio.wait_for(
                connection.execute(self.tally.statement(minutes, {})), timeout=self._bounds.wait_s / 2
            )
            self._told_at = time.monotonic()
        except (psycopg.Error, TimeoutError) as error:
            self.tally.give_back(minutes)
            await self._disconnect(error)

    async def _create_partitions(self, batch: Batch) -> None:
        try:
            await asyncio.to_thread(create_partitions, self._database, batch.days)
        except Exception:
            logger.exception("cannot create the log's partitions")
            await self._rest()

    async def _connect(self) -> None:
        try:
            self._connection = await open_connection(self._database.url)
        except (psycopg.Error, OSError) as error:
            self._note_down(error)
            await self._rest()
        else:
            self._down_since = None

    async def _disconnect(self, error: Exception) -> None:
        self._note_down(error)
        connection, self._connection = self._connection, None
        if self._spilling is not None:
            self._spilling.wake()
        if connection is not None:
            await connection.close()
        await self._rest()

    def _abandon(self, storing: asyncio.Task[None], batch: Batch) -> None:
        """Leave a connection that hangs; its task ends by itself some day, the batch goes over a new one."""
        logger.warning("the database takes more than %.1f s to store a log batch", self._bounds.wait_s / 2)
        hung, self._connection = self._connection, None
        self._down_since = self._down_since or time.monotonic()
        self._abandoned.add(storing)

        def done(task: asyncio.Task[None]) -> None:
            self._abandoned.discard(task)
            if not task.cancelled():
                task.exception()
            if hung is not None:
                hung.pgconn.finish()

        storing.add_done_callback(done)
        storing.cancel()
        self._let_go(batch)

    def _note_down(self, error: Exception) -> None:
        if self._down_since is None:
            self._down_since = time.monotonic()
            logger.warning("the inference log cannot be written: %s", error)

    async def _rest(self) -> None:
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(_SWEEP_S, self._bounds.spool_after_s / 4))
            if self._spilling is not None:
                self._spilling.wake()
            self._backlog.refuse_overdue(_AWAY)
            if not self.tally.is_told and time.monotonic() - self._told_at > self._bounds.tell_every_s:
                self._wake.set()
