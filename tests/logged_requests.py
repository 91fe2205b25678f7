"""Requests put into a real log as the API's writer does: ids that carry their instant, a batch under one request id."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg

from api.inference_log.rows import COLUMNS, LoggedRequest
from monitoring.store.database import Database
from monitoring.store.inference_ids import Stamp, stamp
from monitoring.store.partitions import create_partition

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sent:
    """One request: its rows' inputs (None: not stored) and what the model answered to each."""

    at: datetime
    inputs: Sequence[dict[str, Any] | None] = field(default_factory=lambda: [{}])
    predictions: Sequence[str] | None = None
    scores: Sequence[float] | None = None
    status_code: int = 200
    latency_ms: float = 1.0

    def logged(self, deployment_id: uuid.UUID) -> LoggedRequest:
        """Return it as the API hands it to its log writer."""
        since = self.at - _EPOCH
        return LoggedRequest(
            stamp=stamp((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds),
            deployment_id=deployment_id.hex,
            status_code=self.status_code,
            latency_ms=self.latency_ms,
            row_count=len(self.inputs),
            size_bytes=0,
            inputs=self.inputs,
            predictions=self.predictions,
            scores=self.scores,
        )


def log_requests(database: Database, deployment_id: uuid.UUID, sent: Sequence[Sent]) -> list[list[uuid.UUID]]:
    """Store the requests, days' partitions made as needed; return each one's inference ids."""
    with database.transaction() as session:
        for day in {one.at.astimezone(UTC).date() for one in sent}:
            create_partition(session, day)
    logged = [one.logged(deployment_id) for one in sent]
    with (
        psycopg.connect(database.url) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"COPY inference_log ({COLUMNS}) FROM STDIN") as copy,
    ):
        copy.write(b"".join(request.copy_lines() for request in logged))
    return [_row_ids(request.stamp, request.row_count) for request in logged]


def _row_ids(at: Stamp, rows: int) -> list[uuid.UUID]:
    return [uuid.UUID(text) for text in at.row_ids(rows)]
