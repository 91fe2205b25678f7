"""What the durable log costs at saturation: the same predictions by a server that keeps nothing.

Run by hand: `uv run python -m tests.benchmarks.logging_cost [SECONDS] [ROUNDS]`. Both servers run at once, each over
its own PostgreSQL, and take turns under load.
"""

import json
import statistics
import sys

from tests.benchmarks.installation import Installation, installation, machine
from tests.benchmarks.load import Load, run_load

MODEL = "gbm_binomial_20"
CONNECTIONS = 32


def rate(on: Installation, path: str, seconds: float, name: str) -> float:
    """Return the requests per second of patient callers, none of whom is turned away."""
    row = next(row for row in on.models[MODEL].rows if len(row) == 20 and None not in row.values())
    headers = {"Authorization": f"Bearer {on.key}"}
    outcome = run_load(Load(on.port, path, headers, json.dumps({"inputs": row}), CONNECTIONS, seconds))
    assert outcome.failures == 0
    print(f"{name:12} {outcome.per_second:7.0f} req/s   p50 {outcome.p50_ms:6.2f}   p99 {outcome.p99_ms:6.2f} ms")
    return outcome.per_second


def main(seconds: float = 10, rounds: float = 5) -> int:
    """Measure and print; return 1 when logging costs more than its bound."""
    print(machine())
    with installation() as logging, installation(logs=False) as bare:
        paths = {on.port: f"/api/mlops/deployments/{on.deploy(MODEL)}/predict" for on in (logging, bare)}
        for on in (logging, bare):
            rate(on, paths[on.port], seconds, "warming up")
        costs = []
        for _ in range(int(rounds)):
            without = rate(bare, paths[bare.port], seconds, "without log")
            costs.append(1 - rate(logging, paths[logging.port], seconds, "with log") / without)
    cost = statistics.median(costs)
    print("costs: " + ", ".join(f"{each:.2f}" for each in costs))
    print(f"requests per second lost to the log, median   {cost:6.2f}   (bound 0.35)")
    return int(cost > 0.35)


if __name__ == "__main__":
    sys.exit(main(*[float(argument) for argument in sys.argv[1:]]))
