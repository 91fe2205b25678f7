"""A COPY and the statements around it as one query string: two round trips, where one by one they take six.

A query string of several statements is one transaction: it commits at its end, or nothing of it happened (PostgreSQL's
documentation, "Multiple Statements in a Simple Query"). Over psycopg's connection, by libpq's own calls.
"""

from collections.abc import Callable

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Wait

_CHUNK = 128 * 1024  # libpq takes no buffer of any size without being flushed between
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.NONFATAL_ERROR, ExecStatus.BAD_RESPONSE)


async def copy_in_one_transaction(
    connection: psycopg.AsyncConnection, query: bytes, lines: bytes, note: Callable[[str | None], None]
) -> None:
    """Run `SELECT <the transaction's id>; COPY ... FROM STDIN; ...` with these lines; on return it is committed.

    `note` gets the transaction's id before its end is asked for, and None when it is known that nothing of it happened.
    Raises what the server objects to, or psycopg.OperationalError when the connection breaks.
    """
    async with connection.lock:
        await connection.wait(_exchange(connection.pgconn, query, lines, note))


def _exchange(pgconn: PGconn, query: bytes, lines: bytes, note: Callable[[str | None], None]) -> PQGen[None]:
    pgconn.send_query(query)
    yield from _flush(pgconn)
    begun = yield from generators.fetch_many(pgconn)
    if begun[-1].status != ExecStatus.COPY_IN:
        raise _refusal(begun)
    for start in range(0, len(lines), _CHUNK):
        while pgconn.put_copy_data(lines[start : start + _CHUNK]) == 0:
            yield from _writable()
        yield from _flush(pgconn)
    note((begun[0].get_value(0, 0) or b"").decode())
    while pgconn.put_copy_end() == 0:
        yield from _writable()
    yield from _flush(pgconn)
    ended = yield from generators.fetch_many(pgconn)
    if any(result.status in _FAILED for result in ended):
        if pgconn.transaction_status == TransactionStatus.IDLE:
            note(None)  # the server lives and has rolled back
        raise _refusal(ended)


def _flush(pgconn: PGconn) -> PQGen[None]:
    while pgconn.flush():
        yield from _writable()


def _writable() -> PQGen[None]:
    while not (yield Wait.W):
        continue


def _refusal(results: list[PGresult]) -> psycopg.Error:
    failed = next((result for result in results if result.status in _FAILED), None)
    if failed is None:
        return psycopg.OperationalError("PostgreSQL answers a COPY in an unknown way")
    return error_from_result(failed, encoding="utf-8")
