"""The processes that serve the API: each holds a lease on serving by what it has heard of changes."""

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

# Written over the very connection that listens: PostgreSQL hands a session its notifications before it answers, so
# a renewal that was answered proves that every change committed before it was sent has been heard.
RENEW_LEASE = """
INSERT INTO api_worker (id, host, pid, started_at, lease_until)
VALUES (%(id)s, %(host)s, %(pid)s, clock_timestamp(), clock_timestamp() + make_interval(secs => %(lease_s)s))
ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until, closed_at = NULL
"""
# Changes that somebody waits for: whoever connects too late to hear of one still says when it serves by it.
OPEN_CHANGES = "SELECT DISTINCT change_id FROM change_ack WHERE acked_at > clock_timestamp() - interval '10 minutes'"
_GIVE_UP = "UPDATE api_worker SET lease_until = clock_timestamp(), closed_at = clock_timestamp() WHERE id = :id"
_ACKNOWLEDGE = """
INSERT INTO change_ack (change_id, worker_id, acked_at) VALUES (:change_id, :worker_id, clock_timestamp())
ON CONFLICT DO NOTHING
"""
_BEHIND = """
SELECT w.id, w.host, w.pid FROM api_worker AS w
WHERE w.lease_until > clock_timestamp() AND w.id <> :own
    AND NOT EXISTS (SELECT FROM change_ack AS a WHERE a.change_id = :change_id AND a.worker_id = w.id)
ORDER BY w.started_at
"""


@dataclass(frozen=True)
class Worker:
    """A process that serves the API."""

    worker_id: uuid.UUID
    host: str
    pid: int


def lease_parameters(worker: Worker, lease_s: float) -> dict[str, Any]:
    """Return the parameters of RENEW_LEASE."""
    return {"id": worker.worker_id, "host": worker.host, "pid": worker.pid, "lease_s": lease_s}


def give_up_lease(session: Session, worker_id: uuid.UUID) -> None:
    """Note that a worker serves no more."""
    session.execute(text(_GIVE_UP), {"id": worker_id})


def acknowledge_change(session: Session, change_id: uuid.UUID, worker_id: uuid.UUID) -> None:
    """Note that a worker serves by a change; harmless when it was noted before."""
    session.execute(text(_ACKNOWLEDGE), {"change_id": change_id, "worker_id": worker_id})


def workers_behind(session: Session, change_id: uuid.UUID, *, own: uuid.UUID) -> list[Worker]:
    """Return who holds a lease and has not yet acknowledged the change, but for `own`."""
    found = session.execute(text(_BEHIND), {"change_id": change_id, "own": own})
    return [Worker(row.id, row.host, row.pid) for row in found]


def forget_change(session: Session, change_id: uuid.UUID) -> None:
    """Drop the acknowledgements of a change that nobody waits for any more."""
    session.execute(text("DELETE FROM change_ack WHERE change_id = :id"), {"id": change_id})
