"""Taking a day's rows out of the log: SQL on its partition, inside a transaction of the caller's."""

import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from psycopg.errors import LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from monitoring.store.ledger_tables import REMOVER
from monitoring.store.partitions import partition_name
from monitoring.store.turns import take_feedback_turn, take_folding_turn

_PATIENCE_AT_FIRST = "30s"
_PATIENCE = "250ms"  # how long callers of the API may come to stand behind a lock that is waited for
_DROP_ATTEMPTS = 40

_FINGERPRINT = (
    "sum(('x' || left(encode(sha256(convert_to(log.id::text || coalesce("
    "(extract(epoch FROM feedback.received_at) * 1000000)::bigint::text, ''), 'UTF8')), 'hex'), 16))::bit(64)::bigint)"
)
_WITH_FEEDBACK = (
    "LEFT JOIN feedback ON feedback.deployment_id = log.deployment_id AND feedback.inference_id = log.id"
    " AND feedback.predicted_at >= '{start}' AND feedback.predicted_at < '{end}'"
)
_OF_DAY = "deployment_id = ANY(CAST(:ids AS uuid[])) AND {time} >= :start AND {time} < :end"
_MISCOUNTED = text(
    "SELECT count(*) FROM (SELECT deployment_id, minute, sum(row_count) AS row_count FROM inference_count"
    f" WHERE {_OF_DAY.format(time='minute')} GROUP BY deployment_id, minute) AS counted "
    "FULL JOIN (SELECT * FROM day_rows WHERE deployment_id = ANY(CAST(:ids AS uuid[]))) AS there"
    " USING (deployment_id, minute) WHERE counted.row_count IS DISTINCT FROM there.row_count"
)
_REMOVED = text(
    "INSERT INTO log_ledger AS kept (minute, worker_id, removed) "
    "SELECT minute, :remover, sum(row_count) FROM day_rows WHERE deployment_id = ANY(CAST(:ids AS uuid[]))"
    " GROUP BY minute ORDER BY minute "
    "ON CONFLICT (minute, worker_id) DO UPDATE SET removed = kept.removed + excluded.removed"
)
_WAITED_FOR = text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
)
_LEFT_OVER = text(
    f"SELECT (SELECT count(*) FROM rollup_mark WHERE {_OF_DAY.format(time='minute')})"
    f" + (SELECT count(*) FROM feedback WHERE {_OF_DAY.format(time='predicted_at')})"
)


@dataclass(frozen=True)
class Held:
    """What a deployment has in a day's partition: its rows and the sum of their fingerprints."""

    rows: int
    fingerprint: int


def lock_partition(session: Session, day: date) -> bool:
    """Let nobody write into a day's partition, or fold, until the transaction ends. Return whether there is one."""
    _wait_at_most(session, _PATIENCE_AT_FIRST)
    take_folding_turn(session, wait=True)  # a fold that has read the rows, but not yet their labels, would lose these
    name = partition_name(day)
    if session.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar() is None:
        return False
    session.execute(text(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"))
    _wait_at_most(session, _PATIENCE)
    return True


def read_day(session: Session, day: date, *, fingerprints: bool) -> dict[uuid.UUID, Held]:
    """Count the rows of a locked partition by deployment, and remember them by minute for the functions below.

    The fingerprints (`log_archive.fingerprint`; else 0) cost a hash a row.
    """
    bounds = {name: f"{value:%Y-%m-%d} 00:00+00" for name, value in _bounds(day).items()}
    session.execute(
        text(
            "CREATE TEMP TABLE day_rows ON COMMIT DROP AS "
            "SELECT log.deployment_id, date_trunc('minute', log.created_at) AS minute, count(*) AS row_count, "
            f"{_FINGERPRINT if fingerprints else '0'} AS fingerprint FROM {partition_name(day)} AS log "
            f"{_WITH_FEEDBACK.format(**bounds) if fingerprints else ''} GROUP BY 1, 2"
        )
    )
    found = session.execute(text("SELECT deployment_id, sum(row_count), sum(fingerprint) FROM day_rows GROUP BY 1"))
    return {one: Held(int(rows), int(total)) for one, rows, total in found}


def count_miscounted(session: Session, ids: Sequence[uuid.UUID], day: date) -> int:
    """Return in how many minutes the kept counts of these deployments differ from the rows of `read_day`."""
    return int(session.execute(_MISCOUNTED, _given(ids, day)).scalar_one())


def forget_rows(session: Session, ids: Sequence[uuid.UUID], day: date) -> None:
    """Write into the ledger that the rows of `read_day` leave, and remove the counts of them."""
    session.execute(_REMOVED, {"ids": list(ids), "remover": REMOVER})
    session.execute(text(f"DELETE FROM inference_count WHERE {_OF_DAY.format(time='minute')}"), _given(ids, day))


def delete_rows(session: Session, ids: Sequence[uuid.UUID], day: date) -> None:
    """Delete the day's rows and feedback of some deployments out of a partition that others need."""
    session.execute(
        text(f"DELETE FROM {partition_name(day)} WHERE deployment_id = ANY(CAST(:ids AS uuid[]))"), {"ids": list(ids)}
    )
    for deployment_id in sorted(ids):
        take_feedback_turn(session, deployment_id)
    _forget_feedback(session, ids, day)


def drop_partition(session: Session, ids: Sequence[uuid.UUID], day: date) -> None:
    """Drop a day's partition, and the feedback of these deployments to it.

    The lock on the log that this needs is tried for a quarter of a second and tried again after a pause, some 20 s
    long: nobody waits longer behind it. Raises OperationalError when it was not to be had, and as soon as somebody
    waits for what this transaction holds already: he may hold the log himself.
    """
    _forget_feedback(session, ids, day)
    for attempt in range(_DROP_ATTEMPTS):
        try:
            with session.begin_nested():
                session.execute(text(f"DROP TABLE {partition_name(day)}"))
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable) or attempt == _DROP_ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0.1, 0.4))  # noqa: S311 - so as not to fall in step with what holds it
            if session.execute(_WAITED_FOR).scalar_one():
                raise
        else:
            return


def count_left_over(session: Session, ids: Sequence[uuid.UUID], day: date) -> int:
    """Return how much feedback, and how many marks for folding, came for the day's rows while they were let go."""
    return int(session.execute(_LEFT_OVER, _given(ids, day)).scalar_one())


def _forget_feedback(session: Session, ids: Sequence[uuid.UUID], day: date) -> None:
    session.execute(text(f"DELETE FROM feedback WHERE {_OF_DAY.format(time='predicted_at')}"), _given(ids, day))


def _wait_at_most(session: Session, patience: str) -> None:
    session.execute(text(f"SET LOCAL lock_timeout = '{patience}'"))


def _bounds(day: date) -> dict[str, date]:
    return {"start": day, "end": day + timedelta(days=1)}


def _given(ids: Sequence[uuid.UUID], day: date) -> dict[str, Any]:
    return {"ids": list(ids), **{name: f"{value:%Y-%m-%d} 00:00+00" for name, value in _bounds(day).items()}}
