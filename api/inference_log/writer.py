"""The inference log's writer: group commit. A handler that returns from `append` has its rows on disk.

One task stores all that has gathered in one transaction; what arrives meanwhile makes the next one. No timer: a single
request waits for one commit, and under load batches grow by themselves.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from datetime import date

import psycopg
from psycopg.conninfo import make_conninfo

from api.errors import Unavailable
from api.inference_log.backlog import Backlog, LogCounters, WriterBounds
from api.inference_log.batch import Batch
from api.inference_log.rows import LoggedRequest
from monitoring.store.database import Database
from monitoring.store.partitions import create_partition

logger = logging.getLogger(__name__)

_SWEEP_S = 0.25
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_AWAY = "The inference log cannot be written just now: the database does not answer"


class LogWriter:
    """Stores log rows over a connection of its own, which it renews when it breaks."""

    def __init__(self, database: Database, bounds: WriterBounds | None = None) -> None:
        self._database = database
        self._bounds = bounds or WriterBounds()
        self.counters = LogCounters()
        self._backlog = Backlog(self._bounds, self.counters)
        self._in_flight: Batch | None = None
        self._connection: psycopg.AsyncConnection | None = None
        self._down_since: float | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._wake = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._abandoned: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin storing, in the running loop."""
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._sweep())]

    async def close(self) -> None:
        """Take no more rows, store or refuse those that wait, and close the connection."""
        self._closing = True
        self._wake.set()
        await asyncio.wait(self._tasks[:1], timeout=self._bounds.wait_s + 2 * _SWEEP_S)
        for task in (*self._tasks, *self._abandoned):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    @property
    def is_up(self) -> bool:
        """Say whether the log can be written just now, as far as we know."""
        return self._connection is not None and self._down_since is None

    async def append(self, rows: LoggedRequest) -> None:
        """Return when the rows are durable.

        Raises Unavailable when the log is full, away or too slow: then the rows are not stored, or (the connection lost
        during their commit) it is not known.
        """
        if self._closing or self._down_for(self._bounds.wait_s):
            self.counters.refused_rows += rows.row_count
            raise Unavailable("The server is stopping" if self._closing else _AWAY)
        stored = self._backlog.add(rows)
        self._wake.set()
        await stored

    def _down_for(self, seconds: float) -> bool:
        return self._down_since is not None and time.monotonic() - self._down_since > seconds

    async def _run(self) -> None:
        while self._backlog or self._in_flight or not self._closing:
            if self._in_flight is not None and not self._in_flight.wanted:
                self._in_flight = None
            elif self._connection is None:
                await self._connect()
            elif self._in_flight is None:
                self._in_flight = await self._gather()
            else:
                await self._store(self._in_flight, self._connection)

    async def _gather(self) -> Batch | None:
        if not self._backlog and not self._closing:
            self._wake.clear()
            await self._wake.wait()
        return self._backlog.take()

    async def _store(self, batch: Batch, connection: psycopg.AsyncConnection) -> None:
        """Store a batch, or keep it in flight for another try; a connection that hangs leaves time for one."""
        storing = asyncio.create_task(batch.store(connection))
        await asyncio.wait({storing}, timeout=self._bounds.wait_s / 2)
        if not storing.done():
            self._abandon(storing, batch)
        elif (error := storing.exception()) is None:
            self._settle(batch)
        else:
            await self._recover(batch, error)

    def _settle(self, batch: Batch) -> None:
        self._in_flight, self._down_since, self._pause_s = None, None, _FIRST_PAUSE_S
        self._backlog.settle(batch)

    async def _recover(self, batch: Batch, error: BaseException) -> None:
        match error:
            case psycopg.errors.UniqueViolation() if batch.uncertain:
                self._settle(batch)  # the commit whose answer was lost had happened
            case psycopg.errors.CheckViolation():
                await self._create_partitions(batch.days)
            case psycopg.Error() if not _is_about_the_rows(error):
                batch.uncertain = True
                await self._disconnect(error)
            case _:
                self._split(batch, error)

    def _split(self, batch: Batch, error: BaseException) -> None:
        """Narrow down, half by half, which request's rows spoil a batch; alone, it is refused."""
        if len(batch.requests) == 1:
            deployment_id = batch.requests[0].rows.deployment_id
            logger.error("PostgreSQL refuses a log row of deployment %s: %s", deployment_id, _kind(error))
            self._backlog.refuse(batch.requests, "The inference log does not take this request's rows")
            return
        middle = len(batch.requests) // 2
        self._backlog.put_back(batch.requests[middle:])
        self._in_flight = Batch(batch.requests[:middle])

    async def _create_partitions(self, days: Iterable[date]) -> None:
        def create() -> None:
            with self._database.transaction() as session:
                for day in sorted(days):
                    create_partition(session, day)

        try:
            await asyncio.to_thread(create)
        except Exception:
            logger.exception("cannot create the log's partitions")
            await self._rest()

    async def _connect(self) -> None:
        try:
            self._connection = await _open_connection(self._database.url)
        except psycopg.Error as error:
            self._note_down(error)
            await self._rest()
        else:
            self._down_since = None

    async def _disconnect(self, error: psycopg.Error) -> None:
        self._note_down(error)
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
        await self._rest()

    def _abandon(self, storing: asyncio.Task[None], batch: Batch) -> None:
        """Leave a connection that hangs; its task ends by itself some day, the batch goes over a new one."""
        logger.warning("the database takes more than %.1f s to store a log batch", self._bounds.wait_s / 2)
        hung, self._connection = self._connection, None
        self._down_since = self._down_since or time.monotonic()
        batch.uncertain = True
        self._abandoned.add(storing)

        def done(task: asyncio.Task[None]) -> None:
            self._abandoned.discard(task)
            if not task.cancelled():
                task.exception()
            if hung is not None:
                hung.pgconn.finish()

        storing.add_done_callback(done)
        storing.cancel()

    def _note_down(self, error: psycopg.Error) -> None:
        if self._down_since is None:
            self._down_since = time.monotonic()
            logger.warning("the inference log cannot be written: %s", error)

    async def _rest(self) -> None:
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._backlog.refuse_overdue(self._in_flight, _AWAY)


def _is_about_the_rows(error: psycopg.Error) -> bool:
    """Say whether PostgreSQL objects to the data itself, as opposed to being away, full, busy or read-only."""
    return isinstance(error, psycopg.DataError | psycopg.IntegrityError) or (error.sqlstate or "").startswith("54")


def _kind(error: BaseException) -> str:
    """Return what kind of error it is: the text of PostgreSQL's own may quote the row."""
    return f"{type(error).__name__} ({getattr(error, 'sqlstate', None)})"


async def _open_connection(url: str) -> psycopg.AsyncConnection:
    """Connect so that a dead server is noticed within seconds and a commit means that rows are on disk."""
    connection = await psycopg.AsyncConnection.connect(
        make_conninfo(
            url,
            connect_timeout=3,
            application_name="pilothouse-log",
            client_encoding="utf8",
            keepalives_idle=10,
            tcp_user_timeout=10_000,
        ),
        autocommit=True,
    )
    await connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    return connection
