"""The databases of an installation: ours, and Prefect's beside it on the same server."""

import psycopg
from psycopg import sql
from sqlalchemy import URL

from monitoring.store.database import psycopg_url, sqlalchemy_url

_MAINTENANCE = "postgres"
_CONNECT_TIMEOUT_S = 10


class DatabaseUnusable(RuntimeError):
    """The database server cannot be reached or will not let us in."""


def ensure_database(url: str, *, setting: str) -> None:
    """Create the database of a URL unless it exists. Raises DatabaseUnusable naming the setting to look at."""
    try:
        _connect(url).close()
    except psycopg.OperationalError as error:
        if not _is_missing(error, sqlalchemy_url(url).database):
            raise DatabaseUnusable(f"The database of {setting} cannot be reached: {_first_line(error)}") from error
        _create(url, setting)


def prefect_database_url(url: str) -> str:
    """Return the URL of Prefect's database on the same server: `<name>_prefect`."""
    own = sqlalchemy_url(url)
    return psycopg_url(own.set(database=f"{own.database}_prefect").render_as_string(hide_password=False))


def asyncpg_url(url: str) -> str:
    """Return a URL as Prefect's SQLAlchemy wants it.

    asyncpg knows libpq's `host` and `port`, `sslmode` as `ssl`, and no other libpq parameter.
    """
    given = sqlalchemy_url(url)
    query = {name: value for name, value in given.query.items() if name in {"host", "port"}}
    if "sslmode" in given.query:
        query["ssl"] = given.query["sslmode"]
    return given.set(drivername="postgresql+asyncpg", query=query).render_as_string(hide_password=False)


def has_trigrams(url: str) -> bool:
    """Say whether the server offers the pg_trgm extension, which Prefect's migrations ask for."""
    with _connect(url) as connection:
        found = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'")
        return found.fetchone() is not None


def shown_url(url: str) -> str:
    """Return a URL fit for a screen, the password hidden."""
    return sqlalchemy_url(url).set(drivername="postgresql").render_as_string(hide_password=True)


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(psycopg_url(url), connect_timeout=_CONNECT_TIMEOUT_S, autocommit=True)


def _is_missing(error: psycopg.OperationalError, database: str | None) -> bool:
    # a refused connection carries no SQLSTATE (3D000), so the server's words decide
    return f'database "{database}" does not exist' in str(error)


def _create(url: str, setting: str) -> None:
    target: URL = sqlalchemy_url(url)
    maintenance = target.set(database=_MAINTENANCE).render_as_string(hide_password=False)
    try:
        with _connect(maintenance) as connection:
            statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(target.database or ""))
            connection.execute(statement)
    except psycopg.errors.DuplicateDatabase:
        return
    except psycopg.Error as error:
        raise DatabaseUnusable(
            f"The database {target.database!r} does not exist and could not be created ({_first_line(error)}). "
            f"Create it, or name another with {setting}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
