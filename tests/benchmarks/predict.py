"""Predictions over HTTP, key checked and logged durably, against a constant answer and against a running H2O cluster.

Run by hand: `uv run python -m tests.benchmarks.predict`. The API runs with one worker in a process of its own,
PostgreSQL and the load generator beside it on the same machine; all figures of a comparison come from one run.
"""

import json
import statistics
import subprocess
import sys
from typing import Any

from tests.benchmarks.api_process import CONSTANT_PATH
from tests.benchmarks.installation import Installation, installation, machine
from tests.benchmarks.load import Load, Outcome, run_load

MODEL = "gbm_binomial_20"
TEN_MODELS = (
    "gbm_binomial",
    "gbm_multinomial_20",
    "gbm_regression_20",
    "xgboost_binomial",
    "drf_binomial",
    "glm_binomial",
    "deeplearning_binomial",
    "stackedensemble_binomial",
    "stackedensemble_multinomial",
)
CONNECTIONS = 32
SECONDS = 5
ROUNDS = 5


def show(name: str, outcome: Outcome, rows: int = 1) -> None:
    """Print one line about a load."""
    per_row = f"   {rows * outcome.per_second:8.0f} rows/s" if rows > 1 else ""
    latency = f"p50 {outcome.p50_ms:7.2f} ms   p99 {outcome.p99_ms:7.2f} ms"
    print(f"{name:34} {outcome.per_second:8.0f} req/s   {latency}{per_row}")
    assert outcome.failures == 0


def load(on: Installation, path: str, inputs: Any, connections: int = CONNECTIONS) -> Outcome:
    """Send the same prediction for a while."""
    headers = {"Authorization": f"Bearer {on.key}"}
    return run_load(Load(on.port, path, headers, json.dumps({"inputs": inputs}), connections, SECONDS))


def against_a_constant(on: Installation, path: str, row: dict[str, Any]) -> float:
    """Return the median over rounds of our requests per second as a share of the constant handler's."""
    shares = []
    for _ in range(ROUNDS):
        constant, predicted = load(on, CONSTANT_PATH, row), load(on, path, row)
        show("constant answer, 32 connections", constant)
        show("prediction, 32 connections", predicted)
        shares.append(predicted.per_second / constant.per_second)
    print("shares: " + ", ".join(f"{share:.2f}" for share in shares))
    return statistics.median(shares)


def h2o_medians(on: Installation, row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return what a cluster of H2O's own takes, in milliseconds, by way of asking."""
    asked = {"mojo": str(on.models[MODEL].mojo), "row": row, "rows": rows}
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.h2o_rest"]
    finished = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
    medians: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return medians


def main() -> int:
    """Measure and print; return 1 when a figure misses its bound."""
    print(machine())
    with installation() as on:
        path = f"/api/mlops/deployments/{on.deploy(MODEL)}/predict"
        full = [row for row in on.models[MODEL].rows if len(row) == 20 and None not in row.values()]
        rows = [full[number % len(full)] for number in range(1000)]
        load(on, path, rows[0])  # the JVM compiles
        share = against_a_constant(on, path, rows[0])
        alone = load(on, path, rows[0], connections=1)
        show("prediction, 1 connection", alone)
        batch_alone, batch = load(on, path, rows, connections=1), load(on, path, rows, connections=4)
        show("1,000 rows, 1 connection", batch_alone, 1000)
        show("1,000 rows, 4 connections", batch, 1000)
        for name in TEN_MODELS:
            deployment = on.deploy(name)
            on.client.post(
                f"/api/mlops/deployments/{deployment}/predict", json={"inputs": on.models[name].rows[0]}
            ).raise_for_status()
        memory_mb = on.memory_mb
        medians = h2o_medians(on, rows[0], rows)
    ours_ms = {"row": alone.p50_ms, "batch": 1000 / max(batch.per_second, batch_alone.per_second)}
    ratios = {name: median / ours_ms[name.split(",")[0]] for name, median in medians.items()}
    for name, median in medians.items():
        print(f"H2O cluster: {name:32} {median:8.1f} ms   {ratios[name]:6.1f} times ours")
    print(f"share of the constant handler's req/s       {share:6.2f}   (bound 0.45)")
    print(f"row, times faster than the cluster          {ratios['row, values to values']:6.0f}   (bound 100)")
    print(f"batch, times the cluster's rows per second  {ratios['batch, values to values']:6.1f}   (bound 8)")
    print(f"API worker with ten models, MB              {memory_mb:6.0f}   (bound 500)")
    fast = ratios["row, values to values"] >= 100 and ratios["batch, values to values"] >= 8
    return int(share < 0.45 or not fast or memory_mb > 500)


if __name__ == "__main__":
    sys.exit(main())
