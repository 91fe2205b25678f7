"""Pages of a list: newest first, with the number of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement
from sqlmodel import Session, SQLModel, func, select

Row = TypeVar("Row", bound=SQLModel)


@dataclass(frozen=True)
class Page:
    """Which part of a list to read: at most `limit` rows after the first `offset`."""

    limit: int
    offset: int = 0


def read_page(
    session: Session,
    table: type[Row],
    where: Sequence[ColumnElement[bool]],
    order: Sequence[ColumnElement[Any]],
    page: Page,
) -> tuple[list[Row], int]:
    """Return the rows of a page in the given order, and how many rows meet the conditions."""
    total = session.exec(select(func.count()).select_from(table).where(*where)).one()
    rows = session.exec(select(table).where(*where).order_by(*order).limit(page.limit).offset(page.offset))
    return list(rows), total
