"""Alembic's entry point; `monitoring.store.migrate` hands it an open connection."""

from alembic import context
from sqlmodel import SQLModel

import monitoring.store.alert_tables
import monitoring.store.ledger_tables
import monitoring.store.privacy_tables
import monitoring.store.rollup_tables
import monitoring.store.tables  # noqa: F401

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
