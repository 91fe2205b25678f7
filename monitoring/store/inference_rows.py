"""A deployment's window of the log, streamed into Polars with bounded memory.

ADBC is used below its DB-API module, which imports pandas: half a second and 60 MB that a drift run does not need.
"""

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final, TypeVar

import adbc_driver_postgresql
import polars as pl
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcStatement
from adbc_driver_manager import Error as AdbcError
from adbc_driver_postgresql import StatementOptions

from monitoring.features import FeatureSpec
from monitoring.payloads import LogBatch, WholeBatch, decode_masked
from monitoring.windows import Window

_BATCH_BYTES = 2 << 20  # some 5,000 rows: measured faster than larger ones, which leave the processor's caches
_DECODERS = 2
_IN_FLIGHT = 4
_STATEMENT_TIMEOUT_S = 120
_CONNECT_TIMEOUT_S = 10
ANSWERED: Final = 200
T = TypeVar("T")


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
        yield from self._stream(_query(deployment_id, window, inputs=inputs), partial(_log_batch, features=features))

    def read_whole(
        self, deployment_id: uuid.UUID, windows: Sequence[Window], features: Sequence[FeatureSpec]
    ) -> Iterator[WholeBatch]:
        """Yield the rows of any status of windows (at least one, none overlapping), otherwise as `read` does.

        Without `features` the rows' inputs are not read, and all answered rows come as ones that have none.
        """
        query = _whole_query(deployment_id, windows, inputs=bool(features))
        yield from self._stream(query, partial(_whole_batch, features=features))

    def _stream(self, query: str, decode: Callable[[pa.RecordBatch], T]) -> Iterator[T]:
        try:
            with AdbcStatement(self._connection) as statement:
                statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)})
                statement.set_sql_query(query)
                stream, _ = statement.execute_query()
                with pa.RecordBatchReader.from_stream(stream) as batches:
                    yield from _decoded(batches, decode)
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


def _whole_query(deployment_id: uuid.UUID, windows: Sequence[Window], *, inputs: bool) -> str:
    """One window is named by literals; several are joined to, each looked up by the log's key (OFFSET 0: a fence)."""
    shown = "CASE WHEN status_code = 200 THEN {0} END::text AS {0}" if inputs else "NULL::text AS {0}"
    columns = (
        f"{shown.format('inputs')}, {shown.format('bins')}, prediction, score, created_at, "
        "uuid_hash_extended(request_id, 0) AS request, status_code, latency_ms"
    )
    found = f"SELECT {columns} FROM inference_log WHERE deployment_id = '{uuid.UUID(str(deployment_id))}' AND "
    if len(windows) == 1:
        return found + f"created_at >= '{windows[0].start.isoformat()}' AND created_at < '{windows[0].end.isoformat()}'"
    values = ", ".join(
        f"('{window.start.isoformat()}'::timestamptz, '{window.end.isoformat()}'::timestamptz)" for window in windows
    )
    within = f"{found}created_at >= piece.s AND created_at < piece.e OFFSET 0"
    return (
        f"SELECT rows_of_piece.* FROM (VALUES {values}) AS piece(s, e) CROSS JOIN LATERAL ({within}) AS rows_of_piece"
    )


def _decoded(batches: Iterable[pa.RecordBatch], decode: Callable[[pa.RecordBatch], T]) -> Iterator[T]:
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(_DECODERS, "decode") as decoders:
        for batch in batches:
            waiting.append(decoders.submit(decode, batch))
            if len(waiting) >= _IN_FLIGHT:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _log_batch(batch: pa.RecordBatch, features: Sequence[FeatureSpec]) -> LogBatch:
    return answered_batch(pl.DataFrame(pl.from_arrow(batch)), features)


def answered_batch(rows: pl.DataFrame, features: Sequence[FeatureSpec]) -> LogBatch:
    """Decode answered rows: columns inputs and bins (JSON text), prediction, score, draw."""
    return _answered(rows, features, ("prediction", "score", "draw"))


def _whole_batch(batch: pa.RecordBatch, features: Sequence[FeatureSpec]) -> WholeBatch:
    rows = pl.DataFrame(pl.from_arrow(batch))
    answered = rows.filter(pl.col("status_code") == ANSWERED)
    return WholeBatch(
        rows.select("created_at", "request", "status_code", "latency_ms"),
        _answered(answered, features, ("prediction", "score", "created_at")),
    )


def _answered(rows: pl.DataFrame, features: Sequence[FeatureSpec], answer: Sequence[str]) -> LogBatch:
    with_inputs = rows.filter(pl.col("inputs").is_not_null())
    bare = rows.filter(pl.col("inputs").is_null())
    inputs, bins = decode_masked(with_inputs["inputs"], with_inputs["bins"], features)
    return LogBatch(
        inputs=inputs,
        answers=with_inputs.select(answer),
        skipped=bare.height,
        bare_answers=bare.select(answer),
        bins=bins,
    )
