"""What the engine says when a statement fails."""

import traceback

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from monitoring.store.database import Database


def test_a_failed_statement_does_not_say_its_values(database: Database) -> None:
    """They may be a channel's secrets, and unexpected errors are logged whole."""
    with pytest.raises(DBAPIError) as failed, database.transaction() as session:
        session.execute(text("SELECT CAST(:secret AS text), no_such_column"), {"secret": "hunter2"})
    assert "hunter2" not in "".join(traceback.format_exception(failed.value, limit=0))
