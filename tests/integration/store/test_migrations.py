"""The migrations describe exactly the tables in code."""

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from monitoring.store.database import Database
from monitoring.store.migrate import alembic_config, migrate
from monitoring.store.tables import AuditEvent


def test_migrated_schema_matches_tables(database: Database) -> None:
    """Alembic finds nothing left to generate."""
    config = alembic_config()
    with database.engine.begin() as connection:
        partitions = connection.execute(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'inference_log'::regclass")
        ).scalars()
        for partition in list(partitions):
            connection.execute(text(f"DROP TABLE {partition}"))
        config.attributes["connection"] = connection
        command.check(config)


def test_migrating_twice_changes_nothing(database: Database) -> None:
    """`migrate` may run on every start."""
    migrate(database)


@pytest.mark.parametrize("statement", ["UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event"])
def test_audit_log_is_append_only(database: Database, statement: str) -> None:
    """The database itself refuses to change or remove an audit event."""
    with database.transaction() as session:
        session.add(AuditEvent(actor="system", action="test", subject_type="test", subject_id="1"))
    with pytest.raises(DBAPIError, match="append-only"), database.transaction() as session:
        session.execute(text(statement))
