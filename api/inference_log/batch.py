"""Requests that are stored together: one COPY, one update of the counts, one commit."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import psycopg

from api.inference_log.rows import COLUMNS, LoggedRequest

_COPY = f"COPY inference_log ({COLUMNS}) FROM STDIN"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_US = 60_000_000


@dataclass(slots=True, eq=False)
class Waiting:
    """One request's rows and what its handler waits for (unless it was cancelled)."""

    rows: LoggedRequest
    since: float
    stored: asyncio.Future[None]
    decided: bool = False


@dataclass(slots=True, eq=False)
class Batch:
    """What goes into one transaction. `uncertain` once a connection broke on it: it may be stored already."""

    requests: list[Waiting]
    uncertain: bool = False

    @property
    def row_count(self) -> int:
        """How many log rows it holds."""
        return sum([request.rows.row_count for request in self.requests])

    @property
    def wanted(self) -> bool:
        """Say whether any of its requests is still to be stored or refused."""
        return any(not request.decided for request in self.requests)

    @property
    def days(self) -> set[date]:
        """The UTC days whose partitions it needs."""
        return {(_EPOCH + timedelta(microseconds=request.rows.stamp.instant_us)).date() for request in self.requests}

    async def store(self, connection: psycopg.AsyncConnection) -> None:
        """Write rows and counts in one transaction; on return they are durable.

        The counts come last and in one order everywhere, so that workers wait for each other only for the length of a
        commit, and never in a circle.
        """
        lines = b"".join([request.rows.copy_lines() for request in self.requests])
        async with connection.transaction(), connection.cursor() as cursor:
            async with cursor.copy(_COPY) as copy:
                await copy.write(lines)
            await cursor.execute(self._add_counts())

    def _add_counts(self) -> bytes:
        counts: dict[tuple[str, int, int], int] = {}
        for request in self.requests:
            rows = request.rows
            key = (rows.deployment_id, rows.stamp.instant_us // _MINUTE_US * 60, rows.status_code)
            counts[key] = counts.get(key, 0) + rows.row_count
        values = ",".join(
            f"('{deployment_id}',to_timestamp({second}),{status_code},{added})"
            for (deployment_id, second, status_code), added in sorted(counts.items())
        )
        return (
            "INSERT INTO inference_count AS kept (deployment_id, minute, status_code, row_count) "
            f"VALUES {values} ON CONFLICT (deployment_id, minute, status_code) "
            "DO UPDATE SET row_count = kept.row_count + excluded.row_count"
        ).encode()
