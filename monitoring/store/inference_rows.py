"""A deployment's window of the log, streamed into Polars with bounded memory.

ADBC is used below its DB-API module, which imports pandas: half a second and 60 MB that a drift run does not need.
"""

import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import adbc_driver_postgresql
import polars as pl
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcStatement
from adbc_driver_manager import Error as AdbcError
from adbc_driver_postgresql import StatementOptions

from monitoring.features import FeatureSpec
from monitoring.payloads import LogBatch, decode_masked
from monitoring.windows import Window

_BATCH_BYTES = 2 << 20  # some 5,000 rows: measured faster than larger ones, which leave the processor's caches
_DECODERS = 2
_IN_FLIGHT = 4
_STATEMENT_TIMEOUT_S = 120
_CONNECT_TIMEOUT_S = 10


class LogUnreadable(RuntimeError):
    """PostgreSQL did not give the rows (away, too slow, restarted): worth another try from the start."""


class LogReader:
    """An open connection that reads windows of the log, one after the other; for one thread at a time."""

    def __init__(self, connection: AdbcConnection) -> None:
        self._connection = connection

    def read(
        self, deployment_id: uuid.UUID, window: Window, features: Sequence[FeatureSpec], *, inputs: bool = True
    ) -> Iterator[LogBatch]:
        """Yield the window's answered rows in batches of some 5,000, one snapshot of the database, in no set order.

        Memory is that of a few batches, whatever the window; they are decoded while the next are fetched. Without
        `inputs` every row comes as one that has none, which takes a fraction of the time. Raises LogUnreadable, also
        between batches.
        """
        try:
            with AdbcStatement(self._connection) as statement:
                statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)})
                statement.set_sql_query(_query(deployment_id, window, inputs=inputs))
                stream, _ = statement.execute_query()
                with pa.RecordBatchReader.from_stream(stream) as batches:
                    yield from _decoded(batches, features)
        except (AdbcError, pa.ArrowException, OSError) as error:
            raise _unreadable(error) from error


@contextmanager
def open_log(database_url: str, *, statement_timeout_s: int | None = None) -> Iterator[LogReader]:
    """Connect, and close when the block ends. Raises LogUnreadable when there is no connection to be had."""
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(adbc_driver_postgresql.connect(_with_timeout(database_url)))
            connection = stack.enter_context(AdbcConnection(opened))
            with AdbcStatement(connection) as statement:
                statement.set_sql_query(f"SET statement_timeout = '{statement_timeout_s or _STATEMENT_TIMEOUT_S}s'")
                statement.execute_update()
        except (AdbcError, OSError) as error:
            raise _unreadable(error) from error
        yield LogReader(connection)


def read_window(
    database_url: str, deployment_id: uuid.UUID, window: Window, features: Sequence[FeatureSpec]
) -> Iterator[LogBatch]:
    """Yield what `LogReader.read` does, over a connection of its own. Raises LogUnreadable."""
    with open_log(database_url) as log:
        yield from log.read(deployment_id, window, features)


def _unreadable(error: Exception) -> LogUnreadable:
    return LogUnreadable(f"The inference log could not be read: {str(error)[:300]}")


def _with_timeout(database_url: str) -> str:
    return f"{database_url}{'&' if '?' in database_url else '?'}connect_timeout={_CONNECT_TIMEOUT_S}"


def _query(deployment_id: uuid.UUID, window: Window, *, inputs: bool = True) -> str:
    """Literals, not parameters: ADBC streams by COPY only without them, and the planner prunes partitions by them."""
    return (
        f"SELECT {'inputs' if inputs else 'NULL'}::text AS inputs, {'bins' if inputs else 'NULL'}::text AS bins, "
        "prediction, score, "
        "uuid_hash_extended(id, 0) AS draw FROM inference_log "
        f"WHERE deployment_id = '{uuid.UUID(str(deployment_id))}' AND status_code = 200 "
        f"AND created_at >= '{window.start.isoformat()}' AND created_at < '{window.end.isoformat()}'"
    )


def _decoded(batches: Iterable[pa.RecordBatch], features: Sequence[FeatureSpec]) -> Iterator[LogBatch]:
    waiting: deque[Future[LogBatch]] = deque()
    with ThreadPoolExecutor(_DECODERS, "decode") as decoders:
        for batch in batches:
            waiting.append(decoders.submit(_log_batch, batch, features))
            if len(waiting) >= _IN_FLIGHT:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _log_batch(batch: pa.RecordBatch, features: Sequence[FeatureSpec]) -> LogBatch:
    rows = pl.DataFrame(pl.from_arrow(batch))
    with_inputs = rows.filter(pl.col("inputs").is_not_null())
    bare = rows.filter(pl.col("inputs").is_null())
    answer = ("prediction", "score", "draw")
    inputs, bins = decode_masked(with_inputs["inputs"], with_inputs["bins"], features)
    return LogBatch(
        inputs=inputs,
        answers=with_inputs.select(answer),
        skipped=bare.height,
        bare_answers=bare.select(answer),
        bins=bins,
    )
