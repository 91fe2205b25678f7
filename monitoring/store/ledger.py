"""The ledger against the log: whether every row that was taken is accounted for, minute by minute."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from monitoring.store.ledger_tables import REMOVER

_MINUTES = text("""
WITH told AS (
    SELECT minute, sum(served) AS served, sum(stored) AS stored, sum(spooled) AS spooled, sum(refused) AS refused,
           sum(refused_stored) AS refused_stored, sum(replayed) AS replayed, sum(shed) AS shed, sum(removed) AS removed
    FROM log_ledger WHERE minute >= :since AND minute < :until GROUP BY minute
), logged AS (
    SELECT date_trunc('minute', created_at, 'UTC') AS minute, count(*) AS logged
    FROM inference_log WHERE created_at >= :since AND created_at < :until GROUP BY 1
), counted AS (
    SELECT minute, sum(row_count) AS counted
    FROM inference_count WHERE minute >= :since AND minute < :until GROUP BY minute
)
SELECT minute, coalesce(served, 0), coalesce(stored, 0), coalesce(spooled, 0), coalesce(refused, 0),
       coalesce(refused_stored, 0), coalesce(replayed, 0), coalesce(shed, 0), coalesce(removed, 0),
       coalesce(logged, 0), coalesce(counted, 0)
FROM told FULL JOIN logged USING (minute) FULL JOIN counted USING (minute) ORDER BY minute
""")
_WORKERS = text("""
SELECT ledger.worker_id, worker.host, worker.pid, worker.closed_at IS NULL AND worker.lease_until > clock_timestamp(),
       sum(served), sum(stored), sum(spooled), sum(refused), sum(refused_stored), sum(replayed), sum(shed), sum(removed)
FROM log_ledger AS ledger LEFT JOIN api_worker AS worker ON worker.id = ledger.worker_id
WHERE minute >= :since AND minute < :until
GROUP BY ledger.worker_id, worker.host, worker.pid, 4 ORDER BY min(minute), ledger.worker_id
""")
# Rows from before the ledger may have been removed since: what tells of those has no writer's minute to stand in.
_FIRST = text("""
SELECT first + CASE WHEN EXISTS (SELECT FROM inference_count WHERE minute < first)
                      OR EXISTS (SELECT FROM log_ledger WHERE minute < first)
                    THEN interval '1 minute' ELSE interval '0' END
FROM (SELECT min(minute) AS first FROM log_ledger WHERE worker_id <> :remover) AS writers
""")
_SPOOL = text("SELECT coalesce(sum(set_aside), 0), coalesce(sum(torn_records), 0) FROM spool_segment")

_REMOVE = text("""
WITH gone AS (
    DELETE FROM inference_log WHERE deployment_id = ANY(CAST(:ids AS uuid[])) RETURNING created_at
)
INSERT INTO log_ledger AS kept (minute, worker_id, removed)
SELECT date_trunc('minute', created_at, 'UTC'), :remover, count(*) FROM gone GROUP BY 1 ORDER BY 1
ON CONFLICT (minute, worker_id) DO UPDATE SET removed = kept.removed + excluded.removed
""")


@dataclass(frozen=True)
class Account:
    """Rows (`shed`: requests) of a minute, a worker or a period; the columns are those of `LogLedger`."""

    served: int = 0
    stored: int = 0
    spooled: int = 0
    refused: int = 0
    refused_stored: int = 0
    replayed: int = 0
    shed: int = 0
    removed: int = 0

    @property
    def expected(self) -> int:
        """How many rows the log should have."""
        return self.stored + self.replayed + self.refused_stored - self.removed

    @property
    def in_spools(self) -> int:
        """Spooled rows that have not joined the log: still waiting, set aside, or lost with a damaged file."""
        return self.spooled - self.replayed

    @property
    def open(self) -> int:
        """Rows that came in and have not ended: waiting just now, or cut off when their process was killed."""
        return self.served - self.stored - self.spooled - self.refused

    @classmethod
    def total(cls, accounts: Iterable["Account"]) -> "Account":
        """Return the sum of accounts."""
        columns = zip(*(astuple(account) for account in accounts), strict=True)
        return cls(*(sum(column) for column in columns))


@dataclass(frozen=True)
class MinuteAccount:
    """A UTC minute in the ledger, in the log (`logged` rows) and in the counts (`counted` rows)."""

    minute: datetime
    account: Account
    logged: int
    counted: int

    @property
    def faults(self) -> list[str]:
        """What does not balance, in words; empty when all is accounted for.

        Rows that were spooled while their batch was still at work may be counted twice until they are replayed.
        """
        account, found = self.account, []
        if self.logged != account.expected:
            found.append(f"the log has {self.logged} rows, the ledger says {account.expected}")
        if self.logged != self.counted:
            found.append(f"the log has {self.logged} rows, the counts say {self.counted}")
        if account.in_spools < 0:
            found.append(f"{account.replayed} rows were replayed, {account.spooled} spooled")
        if account.open < -max(0, account.in_spools):
            found.append(f"{-account.open} rows ended that never came in")
        return found


@dataclass(frozen=True)
class WorkerAccount:
    """What one process made of its rows; `is_live` while its lease runs, None when nothing is known of it."""

    worker_id: uuid.UUID
    host: str | None
    pid: int | None
    is_live: bool | None
    account: Account


@dataclass(frozen=True)
class Balance:
    """A period of the ledger. `set_aside` rows and `torn` records are of all spool segments, whatever the period."""

    minutes: list[MinuteAccount]
    workers: list[WorkerAccount]
    set_aside: int
    torn: int

    @property
    def total(self) -> Account:
        """The period's account."""
        return Account.total(each.account for each in self.minutes) if self.minutes else Account()

    @property
    def logged(self) -> int:
        """Rows of the period in the log."""
        return sum(each.logged for each in self.minutes)

    @property
    def faulty(self) -> list[MinuteAccount]:
        """The minutes that do not balance."""
        return [each for each in self.minutes if each.faults]


def first_minute(session: Session) -> datetime | None:
    """Return from when on the ledger is complete: an older version may have written log rows before."""
    found: datetime | None = session.execute(_FIRST, {"remover": REMOVER}).scalar_one()
    return found


def read_balance(session: Session, since: datetime, until: datetime) -> Balance:
    """Count the log of whole UTC minutes and compare it with the ledger; the figures are of one instant."""
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    period = {"since": since, "until": until}
    minutes = [
        MinuteAccount(row[0], Account(*map(int, row[1:9])), int(row[9]), int(row[10]))
        for row in session.execute(_MINUTES, period)
    ]
    workers = [
        WorkerAccount(row[0], row[1], row[2], row[3], Account(*map(int, row[4:])))
        for row in session.execute(_WORKERS, period)
    ]
    set_aside, torn = session.execute(_SPOOL).one()
    return Balance(minutes, workers, int(set_aside), int(torn))


def remove_rows(session: Session, deployment_ids: Sequence[uuid.UUID]) -> None:
    """Delete all log rows of deployments, and say so in the ledger."""
    session.execute(_REMOVE, {"ids": list(deployment_ids), "remover": REMOVER})
