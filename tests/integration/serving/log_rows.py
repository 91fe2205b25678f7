"""Making and counting log rows in tests."""

import uuid
from typing import Any

from sqlalchemy import text

from api.inference_log.rows import LoggedRequest
from monitoring.store.database import Database
from monitoring.store.inference_ids import Stamp, stamp


def a_request(
    deployment_id: uuid.UUID, *, rows: int = 1, status_code: int = 200, at: Stamp | None = None, **columns: Any
) -> LoggedRequest:
    """Return a request of `rows` equal rows."""
    columns = {"inputs": [{"x": 1.5}] * rows} | columns
    return LoggedRequest(
        stamp=at or stamp(),
        deployment_id=deployment_id.hex,
        status_code=status_code,
        latency_ms=1.25,
        row_count=rows,
        size_bytes=100 * rows,
        **columns,
    )


def stored_ids(database: Database, deployment_id: uuid.UUID) -> list[str]:
    """Return the ids in the log, as hexadecimal digits, in order."""
    with database.transaction() as session:
        found = session.execute(
            text("SELECT id FROM inference_log WHERE deployment_id = :id ORDER BY created_at, id"),
            {"id": deployment_id},
        )
        return [row_id.hex for (row_id,) in found]


def counted_rows(database: Database, deployment_id: uuid.UUID) -> int:
    """Return what the counts per minute sum up to."""
    with database.transaction() as session:
        return int(
            session.execute(
                text("SELECT coalesce(sum(row_count), 0) FROM inference_count WHERE deployment_id = :id"),
                {"id": deployment_id},
            ).scalar_one()
        )
