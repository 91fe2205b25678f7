"""Twice the load that saturates: those let in are answered as fast as ever, the others are told so at once.

Run by hand: `uv run python -m tests.benchmarks.overload [SECONDS]`. Requests come by the clock over many connections.
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.benchmarks.installation import Installation, installation, machine
from tests.benchmarks.load import Load, run_load
from tests.benchmarks.open_load import OpenLoad, OpenOutcome, run_open_load

MODEL = "gbm_binomial_20"
CONNECTIONS = 512
CALLERS = (32, 64)
SECONDS = 60.0


class Watching:
    """Memory, and how long health takes to answer, while a load runs."""

    def __init__(self, on: Installation) -> None:
        self._on = on
        self.memory_mb: list[float] = []
        self.health_ms: list[float] = []

    @contextmanager
    def run(self) -> Iterator[None]:
        """Look twice a second inside the block."""
        done = threading.Event()
        looking = threading.Thread(target=self._look, args=(done,))
        looking.start()
        try:
            yield
        finally:
            done.set()
            looking.join()

    def _look(self, done: threading.Event) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self._on.port}", timeout=60) as client:
            while not done.wait(0.5):
                self.memory_mb.append(self._on.memory_mb)
                started = time.perf_counter()
                client.get("/health/live").raise_for_status()
                self.health_ms.append(1000 * (time.perf_counter() - started))


def show(name: str, outcome: OpenOutcome, watching: Watching) -> None:
    """Print what came of a load."""
    memory = watching.memory_mb
    tenth = max(len(memory) // 10, 1)
    print(
        f"{name:22} {outcome.offered / outcome.seconds:7.0f} req/s offered, {outcome.accepted / outcome.seconds:7.0f} "
        f"accepted, {outcome.refused / outcome.seconds:7.0f} refused, {outcome.others} other or lost\n"
        f"  accepted p50 {outcome.p50_ms:6.2f} p99 {outcome.p99_ms:6.2f} ms; refused p50 {outcome.refused_p50_ms:6.2f} "
        f"p99 {outcome.refused_p99_ms:6.2f} max {outcome.refused_most_ms:6.2f} ms; generator's lag p99 "
        f"{outcome.lag_p99_ms:.2f} ms\n  memory {sum(memory[:tenth]) / tenth:.0f} to "
        f"{sum(memory[-tenth:]) / tenth:.0f} MB; health p50 {sorted(watching.health_ms)[len(memory) // 2]:.1f} max "
        f"{max(watching.health_ms):.1f} ms"
    )


def saturation(on: Installation, path: str, body: str) -> float:
    """Return the requests per second that patient callers get; none of them is turned away."""
    rates = []
    for callers in CALLERS:
        load = Load(on.port, path, {"Authorization": f"Bearer {on.key}"}, body, callers, min(SECONDS, 10))
        outcome = run_load(load)
        print(f"{callers} patient callers       {outcome.per_second:7.0f} req/s, p99 {outcome.p99_ms:.2f} ms")
        assert outcome.failures == 0, f"{outcome.failures} were turned away"
        rates.append(outcome.per_second)
    return max(rates)


def offered(on: Installation, path: str, body: str, per_second: float, seconds: float) -> OpenOutcome:
    """Offer a load, print what came of it and return it."""
    watching = Watching(on)
    headers = {"Authorization": f"Bearer {on.key}"}
    with watching.run():
        outcome = run_open_load(OpenLoad(on.port, path, headers, body, CONNECTIONS, seconds, per_second))
    show(f"{per_second:.0f} a second", outcome, watching)
    return outcome


def main(seconds: float = SECONDS) -> int:
    """Measure and print; return 1 when a figure misses its bound."""
    print(machine())
    with installation() as on:
        path = f"/api/mlops/deployments/{on.deploy(MODEL)}/predict"
        row: dict[str, Any] = next(row for row in on.models[MODEL].rows if len(row) == 20 and None not in row.values())
        body = json.dumps({"inputs": row})
        saturation(on, path, body)  # the JVM compiles
        full = saturation(on, path, body)
        before = offered(on, path, body, 0.8 * full, seconds)
        after = offered(on, path, body, 2 * full, seconds)
    ratio = after.p99_ms / before.p99_ms
    print(f"p99 of accepted, twice against 80 %   {ratio:6.2f}   (bound 3)")
    print(f"p99 of refusals, ms                   {after.refused_p99_ms:6.1f}   (bound 50)")
    return int(ratio > 3 or after.refused_p99_ms > 50)


if __name__ == "__main__":
    sys.exit(main(*[float(argument) for argument in sys.argv[1:]]))
