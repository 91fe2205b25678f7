"""Load on an H2O cluster's own REST: the row is in the cluster already, nothing is uploaded, parsed or deleted.

Run as `python -m tests.benchmarks.peers.h2o_load` with {mojo, row, connections, seconds} on its input; prints a list
of outcomes. A prediction is H2O's synchronous call and the fetch of its answer, over one kept connection a client.
"""

import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h2o

from tests.benchmarks.h2o_rest import upload
from tests.benchmarks.load import Outcome
from tests.h2o_training import cluster


def ask(connection: HTTPConnection, method: str, path: str) -> Any:
    """Send a request and return the answer's JSON."""
    connection.request(method, path)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body}")
    return body


def client(port: int, model: str, frame: str, until: float) -> list[float]:
    """Predict again and again until time is up; return the latencies in seconds."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    path = f"/3/Predictions/models/{quote(model)}/frames/{quote(frame)}"
    latencies = []
    while (began := time.perf_counter()) < until:
        made = ask(connection, "POST", path)
        name = made["predictions_frame"]["name"]
        ask(connection, "GET", f"/3/Frames/{quote(name)}?row_count=1")
        latencies.append(time.perf_counter() - began)
    connection.close()
    return latencies


def load(port: int, model: str, frames: list[str], seconds: float) -> Outcome:
    """Run a client for each frame; return what came of them all."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(frames)) as pool:
        running = [pool.submit(client, port, model, frame, began + seconds) for frame in frames]
        latencies = sorted(latency for each in running for latency in each.result())
    took = time.perf_counter() - began
    p50, p99 = statistics.median(latencies), latencies[int(len(latencies) * 0.99)]
    return Outcome(len(latencies), 0, took, 1000 * p50, 1000 * p99)


def main(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Measure in a cluster of our own."""
    with tempfile.TemporaryDirectory(prefix="pilothouse-h2o-") as folder, cluster(Path(folder)):
        model = h2o.upload_mojo(asked["mojo"])
        frames = [upload([asked["row"]], list(asked["row"])) for _ in range(max(asked["connections"]))]
        names, port = [frame.frame_id for frame in frames], int(h2o.connection().base_url.rsplit(":", 1)[1])
        load(port, model.model_id, names[:2], min(2, asked["seconds"]))  # the JVM compiles
        return [asdict(load(port, model.model_id, names[:count], asked["seconds"])) for count in asked["connections"]]


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(main(json.loads(sys.stdin.read()))) + "\n")
