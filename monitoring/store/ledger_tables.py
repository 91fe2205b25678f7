"""The tables of the ledger: which processes write the log, and what became of every row they took."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Date, DateTime, ForeignKey, Integer, SmallInteger, Text
from sqlmodel import Field, SQLModel

REMOVER = uuid.UUID(int=0)


def _time(*, nullable: bool = False, primary_key: bool = False) -> Any:  # noqa: ANN401 - as in `tables`
    return Column(DateTime(timezone=True), nullable=nullable, primary_key=primary_key)


def _count() -> Any:  # noqa: ANN401
    return Column(BigInteger, nullable=False, server_default="0")


class ApiWorker(SQLModel, table=True):
    """A process that serves the API. Until `lease_until` (the database's clock) it may serve by what it has heard."""

    __tablename__ = "api_worker"

    id: uuid.UUID = Field(primary_key=True)
    host: str = Field(sa_column=Column(Text, nullable=False))
    pid: int = Field(sa_column=Column(Integer, nullable=False))
    started_at: datetime = Field(sa_column=_time())
    lease_until: datetime = Field(sa_column=_time())
    closed_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class ChangeAck(SQLModel, table=True):
    """A worker's word that it serves by a change of deployments."""

    __tablename__ = "change_ack"

    change_id: uuid.UUID = Field(primary_key=True)
    worker_id: uuid.UUID = Field(primary_key=True)
    acked_at: datetime = Field(sa_column=_time())


class LogLedger(SQLModel, table=True):
    """What one worker made of the log rows of one UTC minute (that of their ids), as it counted last.

    `served` is counted where rows come in, the others where they end: served = stored + spooled + refused, but for
    rows still waiting, or cut off with their process. `refused_stored`: of the refused those whose commit turned out to
    have happened. `replayed`: of the spooled those now in the log. `shed`: requests turned away before they were read.
    `removed`: rows that left the log again, with their project or by age, under the worker REMOVER.
    """

    __tablename__ = "log_ledger"

    minute: datetime = Field(sa_column=_time(primary_key=True))
    worker_id: uuid.UUID = Field(primary_key=True)
    served: int = Field(default=0, sa_column=_count())
    stored: int = Field(default=0, sa_column=_count())
    spooled: int = Field(default=0, sa_column=_count())
    refused: int = Field(default=0, sa_column=_count())
    refused_stored: int = Field(default=0, sa_column=_count())
    replayed: int = Field(default=0, sa_column=_count())
    shed: int = Field(default=0, sa_column=_count())
    removed: int = Field(default=0, sa_column=_count())


class SpoolSegment(SQLModel, table=True):
    """How far a spool file has been replayed, kept in the transactions that replay it."""

    __tablename__ = "spool_segment"

    id: uuid.UUID = Field(primary_key=True)
    worker_id: uuid.UUID
    replayed_bytes: int = Field(sa_column=_count())
    rows: int = Field(default=0, sa_column=_count(), description="rows replayed")
    already_stored: int = Field(default=0, sa_column=_count(), description="of these, found in the log already")
    set_aside: int = Field(default=0, sa_column=_count(), description="rows that PostgreSQL refused, kept in a file")
    torn_records: int = Field(default=0, sa_column=_count(), description="cut off or damaged: never promised, or lost")
    finished_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class LogExport(SQLModel, table=True):
    """A project's day of the log in a Parquet file, verified before its rows were let go."""

    __tablename__ = "log_export"

    project_id: uuid.UUID = Field(sa_column=Column(ForeignKey("project.id", ondelete="CASCADE"), primary_key=True))
    day: date = Field(sa_column=Column(Date, primary_key=True))
    part: int = Field(
        sa_column=Column(SmallInteger, primary_key=True, autoincrement=False),
        description="1; more where rows came after the day had been let go",
    )
    address: str = Field(sa_column=Column(Text, nullable=False))
    rows: int = Field(sa_column=_count())
    sha256: str = Field(sa_column=Column(Text, nullable=False))
    exported_at: datetime = Field(sa_column=_time())
