"""Requests that are stored together: one COPY, one update of counts and ledger, one commit."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import psycopg

from api.inference_log.exchange import copy_in_one_transaction
from api.inference_log.rows import COLUMNS, LoggedRequest
from api.inference_log.tally import MINUTE_US, Tally

Ending = Literal["stored", "spooled"]

_COPY = f"SELECT pg_current_xact_id()::text; COPY inference_log ({COLUMNS}) FROM STDIN".encode()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, eq=False)
class Waiting:
    """One request's rows and what its handler waits for (unless it was cancelled).

    `decided` once it is counted as stored, spooled or refused. `held`: a batch has it and may still store it.
    `spooling`: it is on its way to the spool, and `committed` says that its batch was stored meanwhile. `in_doubt`: it
    was refused while held.
    """

    rows: LoggedRequest
    since: float
    ending: asyncio.Future[Ending]
    decided: bool = False
    held: bool = False
    spooling: bool = False
    committed: bool = False
    in_doubt: bool = False

    @property
    def minute(self) -> int:
        """The UTC minute of its rows, counted since 1970."""
        return self.rows.stamp.instant_us // MINUTE_US

    @property
    def is_free(self) -> bool:
        """Say whether a batch may take it."""
        return not self.decided and not self.spooling

    def tell(self, outcome: Ending | Exception) -> None:
        """Let the handler go on, unless it has gone or been told."""
        if self.ending.done():
            return
        if isinstance(outcome, Exception):
            self.ending.set_exception(outcome)
        else:
            self.ending.set_result(outcome)


@dataclass(slots=True, eq=False)
class Batch:
    """What goes into one transaction; `xid` is the transaction's id once nothing but the commit is left to do.

    Once `is_let_go`, that point is not passed any more: its requests wait for another batch.
    """

    requests: list[Waiting]
    xid: str | None = None
    is_let_go: bool = False

    @property
    def row_count(self) -> int:
        """How many log rows it holds."""
        return sum([request.rows.row_count for request in self.requests])

    @property
    def witness(self) -> Waiting | None:
        """A request whose rows are in the log only if this batch's commit happened: it is not in the spool."""
        open_ones = [request for request in self.requests if request.in_doubt or not request.decided]
        return min(open_ones, key=lambda request: request.spooling, default=None)

    @property
    def days(self) -> set[date]:
        """The UTC days whose partitions it needs."""
        return {(_EPOCH + timedelta(microseconds=request.rows.stamp.instant_us)).date() for request in self.requests}

    async def store(self, connection: psycopg.AsyncConnection, tally: Tally, minutes: Iterable[int]) -> None:
        """Write rows, counts and ledger in one transaction; on return they are durable.

        `minutes` are told to the ledger beside those of the rows. The counts come last and in one order everywhere, so
        that workers wait for each other only for the length of a commit, and never in a circle.
        """
        lines = b"".join([request.rows.copy_lines() for request in self.requests])
        query = b"%b;%b;%b" % (_COPY, self._add_counts(), tally.statement(minutes, self._stored()))
        await copy_in_one_transaction(connection, query, lines, self._note)

    def _note(self, xid: str | None) -> None:
        if self.is_let_go and xid is not None:
            raise psycopg.OperationalError("the batch was let go before its commit")
        self.xid = xid

    def _stored(self) -> dict[int, int]:
        stored: dict[int, int] = {}
        for request in self.requests:
            stored[request.minute] = stored.get(request.minute, 0) + request.rows.row_count
        return stored

    def _add_counts(self) -> bytes:
        counts: dict[tuple[str, int, int], int] = {}
        for request in self.requests:
            rows = request.rows
            key = (rows.deployment_id, request.minute * 60, rows.status_code)
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
