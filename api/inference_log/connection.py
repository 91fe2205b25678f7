"""The log writer's connection to PostgreSQL, and what its errors mean."""

import psycopg
from psycopg.conninfo import make_conninfo


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


async def commit_outcome(connection: psycopg.AsyncConnection, xid: str) -> bool | None:
    """Say whether a transaction was committed; None while it is still at work."""
    row = await (await connection.execute("SELECT pg_xact_status(%s::xid8)", [xid])).fetchone()
    status = None if row is None else row[0]
    return None if status == "in progress" else status == "committed"


def is_about_the_rows(error: BaseException) -> bool:
    """Say whether PostgreSQL objects to the data itself, as opposed to being away, full, busy or read-only."""
    if not isinstance(error, psycopg.Error):
        return not isinstance(error, OSError)
    return isinstance(error, psycopg.DataError | psycopg.IntegrityError) or (error.sqlstate or "").startswith("54")


def kind_of(error: BaseException) -> str:
    """Return what kind of error it is: the text of PostgreSQL's own may quote the row."""
    return f"{type(error).__name__} ({getattr(error, 'sqlstate', None)})"
