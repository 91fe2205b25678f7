"""The log writer's connection to PostgreSQL: opening it, what it asks over it, what its errors mean."""

from collections.abc import Iterable
from datetime import date

import psycopg
from psycopg.conninfo import make_conninfo

from api.inference_log.rows import LoggedRequest
from monitoring.store.database import Database
from monitoring.store.partitions import create_partition


async def open_connection(url: str) -> psycopg.AsyncConnection:
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


async def is_at_work(connection: psycopg.AsyncConnection, xid: str) -> bool:
    """Say whether a transaction has not ended yet.

    How it ended is not asked by its id: PostgreSQL may give an id again after a crash.
    """
    found = await connection.execute("SELECT FROM pg_stat_activity WHERE backend_xid = %s::xid8::xid", [xid])
    return await found.fetchone() is not None


async def is_logged(connection: psycopg.AsyncConnection, rows: LoggedRequest) -> bool:
    """Say whether a request's first row is in the log."""
    found = await connection.execute(
        "SELECT FROM inference_log WHERE deployment_id = %s::uuid AND created_at = %s AND id = %s::uuid",
        [rows.deployment_id, rows.stamp.created_at, rows.stamp.row_hex(0)],
    )
    return await found.fetchone() is not None


def create_partitions(database: Database, days: Iterable[date]) -> None:
    """Create what is missing of the log's partitions for these UTC days."""
    with database.transaction() as session:
        for day in sorted(days):
            create_partition(session, day)


def is_about_the_rows(error: BaseException) -> bool:
    """Say whether PostgreSQL objects to the data itself, as opposed to being away, full, busy or read-only."""
    if not isinstance(error, psycopg.Error):
        return not isinstance(error, OSError)
    return isinstance(error, psycopg.DataError | psycopg.IntegrityError) or (error.sqlstate or "").startswith("54")


def kind_of(error: BaseException) -> str:
    """Return what kind of error it is: the text of PostgreSQL's own may quote the row."""
    return f"{type(error).__name__} ({getattr(error, 'sqlstate', None)})"
