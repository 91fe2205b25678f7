"""Rollups at size: how fast the log is folded, and drift over a day of 100 thousand and of 10 million rows out of them.

Run by hand: `uv run python -m tests.benchmarks.rollups [rows]` (10,000,000 take some 8 GB of disk and some minutes).
PostgreSQL is the embedded one. The rows of the small day are drawn and copied in; the large one has each of them many
times, at other moments and with other ids, put down hour by hour as a log is; all of them are folded for real. CPU is
that of this process and of all of PostgreSQL's together.
"""

import statistics
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import psutil
from sqlalchemy import text

from monitoring.profile import Predictions
from monitoring.readings import Wanted
from monitoring.store.database import Database
from monitoring.store.partitions import create_partition
from monitoring.store.readings import measure
from monitoring.store.rollups import fold_due
from tests.benchmarks.installation import machine, own_database
from tests.drift_material import LogRow, add_deployment, copy_log, twenty_columns, twenty_features

SMALL, LARGE = 100_000, 10_000_000
FEATURES, REFERENCE_ROWS, REPEATS = 20, 20_000, 9
NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
DAY = timedelta(days=1)
_COPIES = text(
    "INSERT INTO inference_log (deployment_id, created_at, id, request_id, status_code, latency_ms, inputs, "
    "prediction, score) SELECT :copy, created_at - copy * interval '7919 microseconds' AS at, gen_random_uuid(), "
    "gen_random_uuid(), status_code, random() * 20, inputs, prediction, random() "
    "FROM inference_log CROSS JOIN generate_series(0, :times - 1) AS copy "
    "WHERE deployment_id = :first AND created_at >= :start AND created_at < :start + interval '1 hour' ORDER BY at"
)
_COUNT = text(
    "INSERT INTO inference_count (deployment_id, minute, status_code, row_count) "
    "SELECT deployment_id, date_trunc('minute', created_at, 'UTC'), status_code, count(*) "
    "FROM inference_log GROUP BY 1, 2, 3"
)


@dataclass
class Spent:
    """Seconds of wall and of CPU."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


def fill(database: Database, rows: int) -> tuple[uuid.UUID, uuid.UUID]:
    """Store two deployments, a small and a large day of rows; return their ids."""
    rng = np.random.default_rng(5)
    reference = twenty_columns(REFERENCE_ROWS, seed=1)
    predictions = Predictions("Binomial", rng.random(REFERENCE_ROWS), ["yes"] * REFERENCE_ROWS, ("no", "yes"))
    small, large = (add_deployment(database, reference, twenty_features(), predictions) for _ in range(2))
    step = (DAY - timedelta(seconds=2)) / SMALL
    drawn = twenty_columns(SMALL, seed=2, shift=0.3)
    copy_log(
        database.url,
        small,
        [
            LogRow(inputs, score=float(rng.random()), created_at=NOW - timedelta(seconds=1) - place * step)
            for place, inputs in enumerate(drawn.iter_rows(named=True))
        ],
    )
    with database.transaction() as session:
        create_partition(session, (NOW - DAY).date())
    for hour in range(24):
        given = {"copy": large, "first": small, "times": rows // SMALL, "start": NOW - DAY + hour * timedelta(hours=1)}
        with database.transaction() as session:
            session.execute(_COPIES, given)
    with database.transaction() as session:
        session.execute(_COUNT)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    return small, large


def measure_folding(database: Database, rows: int) -> float:
    """Fold everything; print and return row-features a second and core."""
    with _spent(database) as spent:
        folded = fold_due(database, now=NOW, budget_s=36_000)
    assert folded.is_done
    assert not folded.failed
    cells = folded.rows * FEATURES
    print(
        f"folded {folded.rows:,} of {rows:,} rows into {folded.slices:,} minutes in {spent.wall_s:.1f} s: "
        f"{cells / spent.wall_s:,.0f} row-features a second; {spent.cpu_s:.1f} s CPU, PostgreSQL's included: "
        f"{cells / spent.cpu_s:,.0f} a second and core"
    )
    return cells / spent.cpu_s


def measure_reading(database: Database, name: str, deployment_id: uuid.UUID) -> float:
    """Read drift over the day; print and return the median time in milliseconds."""
    wanted = [Wanted(deployment_id, 1440, frozenset({"drift_psi"}))]
    taken, samples = [], 0
    for _ in range(REPEATS):
        began = time.perf_counter()
        reading = measure(database, wanted, NOW)[deployment_id, 1440].read("drift_psi")
        taken.append(1000 * (time.perf_counter() - began))
        assert reading.value is not None, reading.detail
        samples = reading.samples or 0
    median = statistics.median(taken)
    print(
        f"drift over a day of {samples:,} rows ({name}): {median:.0f} ms (median of {REPEATS}), "
        f"{max(taken):.0f} ms at most, first {taken[0]:.0f} ms"
    )
    return median


@contextmanager
def _spent(database: Database) -> Iterator[Spent]:
    with database.transaction() as session:
        backend = psutil.Process(session.execute(text("SELECT pg_backend_pid()")).scalar_one())
    server = backend.parent()
    assert server is not None
    spent = Spent()
    wall, cpu = time.perf_counter(), time.process_time() + _server_cpu(server)
    yield spent
    spent.wall_s = time.perf_counter() - wall
    spent.cpu_s = time.process_time() + _server_cpu(server) - cpu


def _server_cpu(server: psutil.Process) -> float:
    own = server.cpu_times()
    ended = own.user + own.system + own.children_user + own.children_system
    return ended + sum(child.cpu_times().user + child.cpu_times().system for child in server.children())


def main() -> int:
    """Measure; return 1 when a figure of the issue is missed."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else LARGE
    print(machine())
    with own_database() as database:
        began = time.perf_counter()
        small, large = fill(database, rows)
        print(f"{SMALL + rows:,} rows of {FEATURES} features stored in {time.perf_counter() - began:.0f} s")
        rate = measure_folding(database, SMALL + rows)
        few, many = measure_reading(database, "small", small), measure_reading(database, "large", large)
    print(f"the large day takes {many / few:.2f} times the small one's")
    return int(rate < 1_000_000 or many > 200 or many > 2 * few)


if __name__ == "__main__":
    sys.exit(main())
