"""The tables of the rollups: the log's slices as sums, how far they are folded, and which must be folded again."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, LargeBinary, SmallInteger
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, JSONB
from sqlmodel import Field, SQLModel


def _time(*, nullable: bool = False, primary_key: bool = False) -> Any:  # noqa: ANN401 - as in `tables`
    return Column(DateTime(timezone=True), nullable=nullable, primary_key=primary_key)


def _count() -> Any:  # noqa: ANN401
    return Column(BigInteger, nullable=False)


class Rollup(SQLModel, table=True):
    """A UTC minute or hour of a deployment's log as sums; folding it again replaces it."""

    __tablename__ = "rollup"

    deployment_id: uuid.UUID = Field(
        sa_column=Column(ForeignKey("deployment.id", ondelete="CASCADE"), primary_key=True)
    )
    minutes: int = Field(sa_column=Column(SmallInteger, primary_key=True), description="how long: 1 or 60")
    start: datetime = Field(sa_column=_time(primary_key=True))
    log_rows: int = Field(sa_column=_count(), description="rows of any status that were read")
    statuses: dict[str, int] = Field(sa_column=Column(JSONB, nullable=False), description="rows by status code")
    requests: int = Field(sa_column=_count())
    failed: int = Field(sa_column=_count(), description="requests with status >= 400")
    latency: bytes = Field(sa_column=Column(LargeBinary, nullable=False), description="`LatencyHistogram`")
    counts: bytes | None = Field(
        default=None, sa_column=Column(LargeBinary), description="`WindowCounts`; null without a reference profile"
    )
    labels: int = Field(sa_column=_count())
    correct: int = Field(sa_column=_count())
    squared_error: float = Field(sa_column=Column(DOUBLE_PRECISION, nullable=False))
    pairs: list[list[Any]] = Field(
        sa_column=Column(JSONB, nullable=False), description="[actual, predicted, predictions], classification only"
    )
    folded_at: datetime = Field(sa_column=_time())


class RollupProgress(SQLModel, table=True):
    """How far a deployment's log is folded: every minute before `folded_until` that has rows has its slice."""

    __tablename__ = "rollup_progress"

    deployment_id: uuid.UUID = Field(
        sa_column=Column(ForeignKey("deployment.id", ondelete="CASCADE"), primary_key=True)
    )
    folded_until: datetime = Field(sa_column=_time())


class RollupMark(SQLModel, table=True):
    """A minute whose rows or labels changed after it may have been folded: to be folded again."""

    __tablename__ = "rollup_mark"
    __table_args__ = (Index("rollup_mark_by_minute", "deployment_id", "minute"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    deployment_id: uuid.UUID
    minute: datetime = Field(sa_column=_time())
