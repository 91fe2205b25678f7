"""Days of a log to let go: rows, labels and rollups of several projects, and what is left of them."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import select

from monitoring.store.database import Database
from monitoring.store.retention import ExpiredDay, Export, LetGo, expired_days, let_go
from monitoring.store.rollups import fold_due
from monitoring.store.tables import Deployment, Project
from tests.integration.rollups.log import add_subject, label, requests_between, store

DAY = datetime(2026, 3, 10, tzinfo=UTC)
NOW = datetime(2026, 3, 14, 3, 30, tzinfo=UTC)
_EVERY = timedelta(minutes=97)
_COUNTED = (
    "SELECT (SELECT count(*) FROM inference_log WHERE {0}), (SELECT coalesce(sum(row_count), 0) FROM inference_count"
    " WHERE {0}), (SELECT count(*) FROM feedback WHERE {0}), (SELECT coalesce(sum(log_rows), 0) FROM rollup"
    " WHERE {0} AND minutes = 1)"
)


class Subject:
    """A project with one deployment, and ids of what was logged."""

    def __init__(self, database: Database, *, days: int | None) -> None:
        self.database = database
        self.deployment_id = add_subject(database)
        with database.transaction() as session:
            project = session.exec(select(Project).join(Deployment).where(Deployment.id == self.deployment_id)).one()
            project.log_retention_days = days
            self.project_id = project.id

    def log(self, start: datetime, *, hours: float = 24, seed: int = 3) -> list[uuid.UUID]:
        """Log some requests from `start` on, a third of the answered ones labelled; return the ids of all rows."""
        sent = requests_between(start, start + timedelta(hours=hours), _EVERY, seed=seed)
        ids = store(self.database, self.deployment_id, sent)
        answered = [one for one, request in zip(ids, sent, strict=True) if request.status_code == 200]
        labelled = [row for one in answered[::3] for row in one]
        label(self.database, self.deployment_id, labelled, "yes", start + timedelta(hours=hours))
        return [row for one in ids for row in one]

    def miscount(self, inference_id: uuid.UUID) -> None:
        """Lose a row that stays counted."""
        with self.database.transaction() as session:
            session.execute(text("DELETE FROM inference_log WHERE id = :id"), {"id": inference_id})

    def count(self) -> tuple[int, int, int, int]:
        """Return rows in the log, rows counted, values of feedback, and rows in the minutes of the rollups."""
        asked = _COUNTED.format(f"deployment_id = '{self.deployment_id}'")
        with self.database.transaction() as session:
            rows, counted, feedback, folded = session.execute(text(asked)).one()
        return int(rows), int(counted), int(feedback), int(folded)


def fold(database: Database, now: datetime = NOW) -> None:
    assert fold_due(database, now=now, budget_s=60).is_done


def replay_marks(database: Database) -> None:
    """Mark all minutes of the log, as whoever brings rows late does."""
    with database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO rollup_mark (deployment_id, minute) "
                "SELECT DISTINCT deployment_id, date_trunc('minute', created_at) FROM inference_log"
            )
        )


def find(database: Database, *, default_days: int = 0, now: datetime = NOW) -> list[ExpiredDay]:
    with database.transaction() as session:
        return expired_days(session, default_days=default_days, now=now)


def go(
    database: Database,
    expired: ExpiredDay,
    exports: Sequence[Export] | None = None,
    *,
    default_days: int = 0,
    now: datetime = NOW,
) -> LetGo:
    with database.transaction() as session:
        return let_go(session, expired, exports=exports, default_days=default_days, now=now)


def has_partition(database: Database, day: datetime) -> bool:
    return bool(one(database, "SELECT to_regclass(:name) IS NOT NULL", name=f"inference_log_{day:%Y%m%d}"))


def removed(database: Database) -> int:
    """Return how many rows the ledger says were removed."""
    return int(one(database, "SELECT coalesce(sum(removed), 0) FROM log_ledger"))


def one(database: Database, statement: str, **values: object) -> Any:
    with database.transaction() as session:
        return session.execute(text(statement), values).scalar_one()
