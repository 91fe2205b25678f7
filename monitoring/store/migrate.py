"""Bring a database to the current schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from monitoring.store.database import Database
from monitoring.store.partitions import ensure_partitions
from monitoring.store.tables import utc_now

_ADVISORY_LOCK = 7_415_066_211  # any constant of ours; two processes starting at once migrate one after the other


def alembic_config() -> Config:
    """Return the Alembic configuration, which lives in code rather than in an ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def head_revision() -> str:
    """Return the name of this version's schema."""
    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


def knows_revision(revision: str) -> bool:
    """Say whether this version has the migrations that lead to a schema."""
    known = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    return revision in {script.revision for script in known}


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the pending migrations up to a revision in the connection's transaction, under an advisory lock."""
    config = alembic_config()
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def migrate(database: Database) -> None:
    """Run every pending migration under an advisory lock and prepare the coming log partitions."""
    with database.engine.begin() as connection:
        upgrade(connection)
    with database.transaction() as session:
        ensure_partitions(session, now=utc_now())
