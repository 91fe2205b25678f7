"""A running H2O cluster's REST predictions of the same rows: as its own client asks for them, and without any pause.

Run as `python -m tests.benchmarks.h2o_rest` with a JSON object {mojo, row, rows} on its input; prints a JSON object.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h2o
import httpx

from tests.h2o_training import cluster

REPEATS = 15


def median_ms(call: Callable[[], Any]) -> float:
    """Return the median of some calls in milliseconds, after one to warm up."""
    call()
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken)


def predict_by_rest(client: httpx.Client, model_id: str, frame_id: str) -> dict[str, Any]:
    """Start a prediction, ask for its job without pause until it is done, and fetch the first rows of the result."""
    started = client.post(f"/4/Predictions/models/{model_id}/frames/{frame_id}").raise_for_status().json()
    while True:
        job = client.get(f"/3/Jobs/{started['key']['name']}").raise_for_status().json()["jobs"][0]
        if job["status"] == "DONE":
            break
    frame = client.get(f"/3/Frames/{job['dest']['name']}", params={"row_count": 1000}).raise_for_status().json()
    return dict(frame["frames"][0])


def upload(rows: list[dict[str, Any]], names: list[str]) -> Any:
    """Put rows into the cluster."""
    types = ["enum" if isinstance(rows[0][name], str) else "numeric" for name in names]
    return h2o.H2OFrame([[row[name] for name in names] for row in rows], column_names=names, column_types=types)


def main(asked: dict[str, Any]) -> dict[str, float]:
    """Measure in a cluster of our own."""
    with tempfile.TemporaryDirectory(prefix="pilothouse-h2o-") as folder, cluster(Path(folder)):
        model = h2o.upload_mojo(asked["mojo"])
        names = list(asked["rows"][0])
        one, many = upload([asked["row"]], names), upload(asked["rows"], names)
        with httpx.Client(base_url=h2o.connection().base_url, timeout=60) as client:
            return {
                f"{label}, {way}": median_ms(call)
                for label, rows, frame in (("row", [asked["row"]], one), ("batch", asked["rows"], many))
                for way, call in ways(client, model, names, rows, frame).items()
            }


def ways(client: httpx.Client, model: Any, names: list[str], rows: list[dict[str, Any]], frame: Any) -> dict[str, Any]:
    """Return the ways of asking: from values to values, and two with the frame in the cluster already."""
    return {
        "values to values": lambda: model.predict(upload(rows, names)).as_data_frame(use_multi_thread=False),
        "frame there, its client": lambda: model.predict(frame),
        "frame there, bare REST": lambda: predict_by_rest(client, model.model_id, frame.frame_id),
    }


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(main(json.loads(sys.stdin.read()))) + "\n")
