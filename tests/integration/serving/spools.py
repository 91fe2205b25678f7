"""Spools in tests: a deployment to log for, what processes wrote and left, and whether the ledger balances."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from api.inference_log.backlog import WriterBounds
from api.inference_log.replaying import Replaying
from api.inference_log.rows import LoggedRequest
from api.inference_log.spool import Spool, SpoolBounds
from api.inference_log.writer import LogWriter
from monitoring.store.database import Database
from monitoring.store.ids import new_id
from monitoring.store.ledger import Account, read_balance
from monitoring.store.spool_replay import SpooledRequest
from monitoring.store.tables import Artifact, Deployment, Model, Project


def a_deployment(database: Database) -> uuid.UUID:
    """Store a deployment that log rows may name."""
    with database.transaction() as session:
        project = Project(name="spooled")
        session.add(project)
        session.flush()
        facts: dict[str, Any] = {"algo": "gbm", "category": "Binomial", "features": [], "reference_rows": 1}
        session.add(Artifact(sha256=(sha256 := uuid.uuid4().hex), size_bytes=1))
        session.flush()
        model = Model(project_id=project.id, name="m", mojo_sha256=sha256, **facts)
        session.add(model)
        session.flush()
        deployment = Deployment(
            project_id=project.id, model_id=model.id, name="d", stage="staging", status="active", config={}
        )
        session.add(deployment)
        return deployment.id


def as_spooled(rows: LoggedRequest) -> SpooledRequest:
    """Return a request as the writer spools it."""
    return SpooledRequest(
        rows.deployment_id, rows.stamp.instant_us, rows.status_code, rows.row_count, rows.copy_lines()
    )


@asynccontextmanager
async def spooling(
    database: Database, root: Path, bounds: WriterBounds | None = None, spool: SpoolBounds | None = None
) -> AsyncIterator[LogWriter]:
    """Run a log writer with a spool."""
    worker_id = new_id()
    writer = LogWriter(
        database,
        bounds or WriterBounds(spool_after_s=0.3, tell_every_s=0.2),
        worker_id=worker_id,
        spool=Spool(root, worker_id, spool or SpoolBounds(keep_free_bytes=0)),
    )
    writer.start()
    try:
        yield writer
    finally:
        await writer.close()


def replay_left_behind(database: Database, root: Path) -> Spool:
    """Replay all that dead processes left, as one that starts does; return its own spool, with its figures."""
    spool = Spool(root, new_id())
    Replaying(database, spool, lambda: True).replay_all()
    spool.close()
    return spool


def files(root: Path) -> list[Path]:
    """Return all files of a spool but the locks."""
    return sorted(path for path in root.rglob("*") if path.is_file() and path.name != "lock")


def assert_balanced(database: Database) -> Account:
    """Check every minute of the ledger, around now, against the log; return the sums."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    with database.transaction() as session:
        balance = read_balance(session, now - timedelta(hours=1), now + timedelta(minutes=2))
    assert [(each.minute, each.faults) for each in balance.faulty] == []
    return balance.total


def segment_facts(database: Database) -> list[dict[str, Any]]:
    """Return the rows of spool_segment."""
    with database.transaction() as session:
        return [dict(row) for row in session.execute(text("SELECT * FROM spool_segment ORDER BY id")).mappings()]


async def settled(writer: LogWriter) -> None:
    """Return once the spool is replayed and the ledger told."""
    async with asyncio.timeout(30):
        while not (writer.is_up and writer.tally.is_told and _waiting_rows(writer) == 0):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _waiting_rows(writer: LogWriter) -> int:
    return writer.counters.backlog_rows + (writer.spool.figures.waiting_rows if writer.spool else 0)
