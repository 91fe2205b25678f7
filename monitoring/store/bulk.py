"""Many rows in one statement: a batch travels as one JSON document, so its size never shows in the statement count."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, SQLModel


def insert_rows(session: Session, rows: Sequence[SQLModel], *, on_conflict: str = "", **values: object) -> None:
    """Insert rows of one table, given whole; `on_conflict` may end the statement, with `values` for its parameters."""
    if not rows:
        return
    table = str(rows[0].__tablename__)
    columns = ", ".join(type(rows[0]).model_fields)
    statement = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {recordset(table)} {on_conflict}"
    session.execute(text(statement), {"rows": as_json(row.model_dump(mode="json") for row in rows), **values})


def recordset(table: str) -> str:
    """Return the SQL for the JSON parameter `rows` read as rows of a table; what a row does not give is null."""
    return f"json_populate_recordset(CAST(NULL AS {table}), CAST(:rows AS json))"


def as_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows, each a mapping of columns to values, as the document that `recordset` reads."""
    return json.dumps([dict(row) for row in rows], allow_nan=False, default=str)
