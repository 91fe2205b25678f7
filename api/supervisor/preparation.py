"""What must be true before the first process starts, and of the databases before the API does."""

from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from api.settings import Settings
from api.supervisor import orphans
from api.supervisor.databases import DatabaseUnusable, ensure_database, has_trigrams
from api.supervisor.home import Home
from api.supervisor.ports import require_free
from monitoring.store.database import Database
from monitoring.store.keys import adopt_admin_key, create_key, has_admin_key, parse_key
from monitoring.store.migrate import migrate


class SettingWrong(ValueError):
    """A setting has a value that cannot work."""


@dataclass(frozen=True)
class Prepared:
    """`admin_key` when one was made just now; whether Prefect's server offers the pg_trgm extension."""

    admin_key: str | None
    trigrams: bool


def check_settings(settings: Settings) -> None:
    """Raise SettingWrong for what can be seen without starting anything."""
    if settings.admin_key is not None and parse_key(settings.admin_key.get_secret_value()) is None:
        raise SettingWrong(
            "PILOTHOUSE_ADMIN_KEY is not a key: it looks like pk_<id>_<secret>, the id letters and digits, "
            "the secret 16 characters or more"
        )
    if settings.port == settings.prefect_port:
        raise SettingWrong(f"PILOTHOUSE_PORT and PILOTHOUSE_PREFECT_PORT are both {settings.port}")


def end_orphans(home: Home) -> int:
    """End processes that an earlier run on this home left behind; return how many. Hold the home's lock."""
    left = orphans.marked_processes(home.root)
    orphans.end(left, grace_s=5.0)
    return len(left)


def check_ports(settings: Settings) -> None:
    """Raise PortTaken unless the API's and Prefect's ports are free."""
    require_free(settings.host, settings.port, part="API", setting="PILOTHOUSE_PORT")
    require_free(settings.prefect_host, settings.prefect_port, part="Prefect server", setting="PILOTHOUSE_PREFECT_PORT")


def prepare_databases(settings: Settings, database_url: str, prefect_url: str) -> Prepared:
    """Create and migrate the databases and see that an admin key exists. Raises DatabaseUnusable."""
    ensure_database(database_url, setting="PILOTHOUSE_DATABASE_URL")
    ensure_database(prefect_url, setting="PILOTHOUSE_PREFECT_DATABASE_URL")
    database = Database(database_url, pool_size=1)
    try:
        migrate(database)
        return Prepared(_ensure_admin_key(database, settings), has_trigrams(prefect_url))
    except (SQLAlchemyError, psycopg.Error) as error:
        said = str(getattr(error, "orig", None) or error).strip()
        raise DatabaseUnusable(f"The database could not be prepared: {said}") from error
    finally:
        database.close()


def _ensure_admin_key(database: Database, settings: Settings) -> str | None:
    with database.transaction() as session:
        if settings.admin_key is not None:
            adopt_admin_key(session, settings.admin_key.get_secret_value())
            return None
        if has_admin_key(session, now=datetime.now(UTC)):
            return None
        _, text = create_key(session, name="admin", scopes=["admin"])
        return text
