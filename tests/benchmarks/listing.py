"""Listing the inference log at two million rows of a deployment over several days, through HTTP.

Run by hand: `uv run python -m tests.benchmarks.listing`.
"""

import statistics
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from monitoring.store.database import Database
from monitoring.store.partitions import ensure_partitions
from tests.benchmarks.installation import installation, machine

ROWS = 2_000_000
DAYS = 7
REPEATS = 40
_FILL = """
INSERT INTO inference_log
(deployment_id, created_at, id, request_id, status_code, latency_ms, inputs, prediction, score)
SELECT :deployment, at, gen_random_uuid(), gen_random_uuid(), CASE WHEN n % 1000 = 0 THEN 422 ELSE 200 END, 1.5,
       json_build_object('amount', n, 'merchant_id', n % 50, 'hour', n % 24), CASE WHEN n % 1000 > 0 THEN '0' END, 0.25
FROM (SELECT n, CAST(:start AS timestamptz) + n * CAST(:step AS interval) AS at
      FROM generate_series(:first, :last) AS n) AS made
"""
_COUNT = """
INSERT INTO inference_count SELECT deployment_id, date_trunc('minute', created_at, 'UTC'), status_code, count(*)
FROM inference_log WHERE deployment_id = :deployment GROUP BY 1, 2, 3
"""


def fill(database: Database, deployment_id: str, now: datetime) -> None:
    """Write the rows, spread evenly over the days before `now`."""
    with database.transaction() as session:
        ensure_partitions(session, now=now, days_back=DAYS + 1)
    step = timedelta(days=DAYS) / ROWS
    for first in range(0, ROWS, 250_000):
        values = {
            "deployment": uuid.UUID(deployment_id),
            "start": now - timedelta(days=DAYS),
            "step": step,
            "first": first,
            "last": first + 249_999,
        }
        with database.transaction() as session:
            session.execute(text(_FILL), values)
    with database.transaction() as session:
        session.execute(text(_COUNT), {"deployment": uuid.UUID(deployment_id)})
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE inference_log"))
        connection.execute(text("ANALYZE inference_count"))


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Return the median and the slowest of many calls, in milliseconds."""
    call()
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken), max(taken)


def main() -> int:
    """Measure; return 1 when page 1 with total takes 50 ms or more at the median."""
    print(machine())
    with installation() as on:
        deployment_id = on.deploy("gbm_binomial")
        now = datetime.now(UTC)
        fill(on.database, deployment_id, now)
        url = f"/api/mlops/deployments/{deployment_id}/inference-logs"

        def read(**parameters: Any) -> dict[str, Any]:
            answer: dict[str, Any] = on.client.get(url, params=parameters).raise_for_status().json()
            return answer

        assert read()["total"] == ROWS
        some_time = {
            "since": (now - timedelta(days=5, seconds=7)).isoformat(),
            "until": (now - timedelta(days=1, seconds=11)).isoformat(),
        }
        cases: dict[str, dict[str, Any]] = {
            "page 1 with total": {},
            "500 items": {"limit": 500},
            "offset 1,000,000": {"offset": 1_000_000},
            "offset 1,999,900": {"offset": 1_999_900},
            "since and until, page 1": some_time,
            "since and until, offset 900,000": some_time | {"offset": 900_000},
            "failed requests, page 1": {"status_code": 422},
            "failed requests, offset 1,900": {"status_code": 422, "offset": 1_900},
        }
        medians = {}
        for name, parameters in cases.items():
            medians[name], slowest = timed(lambda parameters=parameters: read(**parameters))  # type: ignore[misc]
            print(f"{name:34} median {medians[name]:7.1f} ms   slowest {slowest:7.1f} ms")
    return int(medians["page 1 with total"] >= 50)


if __name__ == "__main__":
    sys.exit(main())
