"""One row of one model, by us with everything on, and by peers with nothing on, at 1, 8 and 32 connections.

Run by hand: `uv run python -m tests.benchmarks.peers [--seconds 5] [--rounds 3] [--only mlserver ...]`. Each server
runs alone with the load generator. Ours checks a key, logs durably, and masks by an active policy; the peers do none of
it. MLServer has a runtime that loads the same MOJO and makes the same JPype calls; it gets a tensor for each feature,
with one worker process (its default) and without (which suits one small model better). Beyond comparison, but told: the
same with the row encoded by the client, one tensor of numbers. H2O's own REST has the row in its memory already.
Environments are made in the user's cache folder (2 GB).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
from sqlalchemy import text

from api.scoring.mojo import MojoScorer
from tests.benchmarks.installation import installation, machine
from tests.benchmarks.load import Load, Outcome, best_of, run_load
from tests.benchmarks.peers.environments import CannotInstall
from tests.benchmarks.peers.servers import columns, mlflow, mlserver, numbers, records
from tests.h2o_models import TrainedModel, trained_models

MODEL = "gbm_binomial_20"
CONNECTIONS = (1, 8, 32)
MLSERVER = ("MLServer", "MLServer, no worker")
NUMBERS = "MLServer, numbers"
Results = dict[int, Outcome]


class Trial:
    """One model and row, and how long everybody is asked for it."""

    def __init__(self, model: TrainedModel, seconds: float, rounds: int) -> None:
        self.model = model
        self.seconds = seconds
        self.rounds = rounds
        self.row: dict[str, Any] = next(row for row in model.rows if len(row) == 20 and None not in row.values())
        scorer = MojoScorer.load(model.mojo)
        encoded = scorer.encode([self.row])
        assert not encoded.warnings
        self.encoded: list[float] = encoded.matrix[0].tolist()
        probabilities = scorer.score(encoded.matrix).probabilities
        assert probabilities is not None
        self.expected: list[float] = list(probabilities[0])

    def ours(self) -> Results:
        """Measure Pilothouse: key checked, row logged durably, masked by an active policy."""
        with installation() as on:
            made = on.client.post(
                "/api/privacy/policies", json={"project_id": on.project_id, "name": "peers", "profile": "gdpr"}
            )
            policy = made.raise_for_status().json()["id"]
            path = f"/api/mlops/deployments/{on.deploy(MODEL, privacy_policy_id=policy)}/predict"
            headers = {"Authorization": f"Bearer {on.key}"}
            results = self._measured(on.port, path, {"inputs": self.row}, headers)
            with on.database.transaction() as session:
                logged = session.execute(
                    text("SELECT count(*) FROM inference_log WHERE privacy_version_id IS NOT NULL")
                )
                assert logged.scalar_one() >= sum(each.requests for each in results.values())
            return results

    def mlserver(self, *, parallel_workers: int) -> Results:
        """Measure MLServer, a tensor for each feature."""
        with mlserver(self.model, parallel_workers=parallel_workers) as port:
            return self._measured(port, "/v2/models/peer/infer", columns(self.row))

    def mlserver_of_numbers(self) -> Results:
        """Measure MLServer scoring in its own process a row that the client has encoded."""
        with mlserver(self.model, parallel_workers=0) as port:
            return self._measured(port, "/v2/models/peer/infer", numbers(self.encoded))

    def mlflow(self) -> Results:
        """Measure `mlflow models serve` with the h2o flavor; its forest is a twin, so its answer is not compared."""
        with mlflow(self.model, self.row) as port:
            return self._measured(port, "/invocations", records(self.row), same=False)

    def h2o_rest(self) -> Results:
        """Measure H2O's own REST."""
        asked = {"mojo": str(self.model.mojo), "row": self.row, "connections": CONNECTIONS, "seconds": self.seconds}
        command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.peers.h2o_load"]
        finished = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
        outcomes = json.loads(finished.stdout.splitlines()[-1])
        return {count: Outcome(**outcome) for count, outcome in zip(CONNECTIONS, outcomes, strict=True)}

    def _measured(
        self, port: int, path: str, body: dict[str, Any], headers: dict[str, str] | None = None, *, same: bool = True
    ) -> Results:
        """See that the answer is right; then run each number of connections a few times, warmed up."""
        headers = headers or {}
        answer = httpx.post(f"http://127.0.0.1:{port}{path}", json=body, headers=headers, timeout=60, trust_env=False)
        told = list(_numbers(answer.raise_for_status().json()))
        assert told
        assert not same or all(any(abs(number - wanted) < 1e-6 for number in told) for wanted in self.expected), (
            answer.text
        )
        results = {}
        for connections in CONNECTIONS:
            load = Load(port, path, headers, json.dumps(body), connections, self.seconds)
            run_load(replace(load, seconds=min(3, self.seconds)))  # the JVM compiles
            results[connections] = best_of([run_load(load) for _ in range(self.rounds)])
            assert results[connections].failures == 0, results[connections]
        return results


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _numbers(each)
    elif isinstance(value, float):
        yield value


def show(name: str, results: Results) -> None:
    """Print what a server did."""
    for connections, outcome in results.items():
        latency = f"p50 {outcome.p50_ms:8.2f} ms   p99 {outcome.p99_ms:8.2f} ms"
        print(f"{name:24} {connections:3} connections {outcome.per_second:8.0f} req/s   {latency}", flush=True)


def compare(ours: Results, theirs: dict[str, Results]) -> bool:
    """Print ratios, and say whether we are ahead of each at p99 and do twice MLServer's requests per second."""
    good = True
    for name, results in theirs.items():
        for connections, outcome in results.items():
            faster = ours[connections].per_second / outcome.per_second
            p99 = outcome.p99_ms / ours[connections].p99_ms
            good &= name == NUMBERS or (p99 > 1 and (name not in MLSERVER or faster >= 2))
            print(
                f"{name:24} {connections:3} connections: ours {faster:6.1f} times the req/s, p99 {p99:6.1f} times ahead"
            )
    return good


def main() -> int:
    """Measure everybody one after the other; return 1 when a figure misses its bound."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[])
    said = parser.parse_args()
    print(machine())
    trial = Trial(trained_models()[MODEL], said.seconds, said.rounds)
    everybody: dict[str, Callable[[], Results]] = {
        MLSERVER[0]: lambda: trial.mlserver(parallel_workers=1),
        MLSERVER[1]: lambda: trial.mlserver(parallel_workers=0),
        NUMBERS: trial.mlserver_of_numbers,
        "mlflow": trial.mlflow,
        "H2O REST": trial.h2o_rest,
    }
    ours = trial.ours()
    show("Pilothouse", ours)
    theirs: dict[str, Results] = {}
    for name, measure in everybody.items():
        if said.only and not any(word.lower() in name.lower() for word in said.only):
            continue
        try:
            theirs[name] = measure()
        except CannotInstall as error:
            print(f"{name}: cannot be installed here: {error}")
            continue
        show(name, theirs[name])
    return int(not compare(ours, theirs))


if __name__ == "__main__":
    sys.exit(main())
