"""A database with rows in each of its tables, and the content of one as it can be compared."""

import uuid
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any, BinaryIO

from sqlalchemy import Column, insert, select, text
from sqlmodel import Session, SQLModel

from monitoring.store.database import Database
from monitoring.store.partitions import ensure_partitions
from monitoring.store.tables import Project
from tests.integration.store.test_deletion import furnish

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
AWKWARD = "tab\t, line\n, back\\slash, \\N, \\., ü, \u2028, \"quotes'"
_VALUES: dict[type, Any] = {
    uuid.UUID: uuid.UUID(int=7),
    str: AWKWARD,
    bytes: bytes(range(256)) * 40,
    int: 3,
    float: 0.1 + 0.2,
    bool: True,
    datetime: NOW,
    date: NOW.date(),
    dict: {"text": AWKWARD, "small": 5e-324, "large": 1.7976931348623157e308},
    list: ["a,b", '"', "{}", "NULL", ""],
}
_OLD_ROWS = """
INSERT INTO inference_log (deployment_id, created_at, id, request_id, status_code, latency_ms, score, inputs)
SELECT id, :at, gen_random_uuid(), id, 200, 0.1, 'NaN', CAST(:inputs AS json) FROM deployment
"""


def fill(database: Database) -> None:
    """Put at least one row into every table there is, old days of the log included."""
    with database.transaction() as session:
        ensure_partitions(session, now=NOW)
        furnish(session)
        furnish(session, stage="archived", status="inactive")
        for table in SQLModel.metadata.sorted_tables:
            if session.execute(select(text("1")).select_from(table).limit(1)).first() is None:
                row = {column.name: _value(session, column) for column in table.columns if _is_given(column)}
                session.execute(insert(table).values(row))
        session.add(Project(name=AWKWARD, description=AWKWARD))
        session.execute(text(_OLD_ROWS), {"at": NOW, "inputs": '{"a":  1.10, "b": "\\t"}'})


def content(database: Database) -> dict[str, list[str]]:
    """Return the rows of every table as text, in an order of their own."""
    with database.transaction() as session:
        return {
            table.name: sorted(session.execute(text(f"SELECT t::text FROM {table.name} t")).scalars())
            for table in SQLModel.metadata.sorted_tables
        }


class Files:
    """Files of a home that exist in memory only; `then` runs each time they are gathered."""

    def __init__(self, files: dict[str, bytes] | None = None, *then: Any) -> None:
        self._files = files or {}
        self._then = list(then)

    def gather(self) -> None:
        if self._then:
            self._then.pop(0)()

    def opened(self) -> list[tuple[str, BinaryIO]]:
        return [(name, BytesIO(data)) for name, data in self._files.items()]


def _is_given(column: Column[Any]) -> bool:
    return column.autoincrement is not True


def _value(session: Session, column: Column[Any]) -> Any:
    for key in column.foreign_keys:
        return session.execute(select(key.column)).scalars().first()
    return _VALUES[column.type.python_type]
