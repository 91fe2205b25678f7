"""The training flow on real data with a real H2O cluster."""

import csv
import json
from pathlib import Path

import psutil
import pytest

from api.scoring.archive import check_archive
from tests.integration.flows.conftest import PrefectServer, Worker


def test_prostate_is_trained_exported_and_the_cluster_gone(flow_deployments: PrefectServer, worker: Worker) -> None:
    parameters = {"max_models": 1, "max_runtime_secs": 60, "algorithms": ["GBM"], "memory_mb": 512}
    run = flow_deployments.enqueue("train/train", parameters)
    done = flow_deployments.wait_for(run, {"COMPLETED"}, timeout_s=200)
    assert done["name"] == "train prostate"
    folder = Path(flow_deployments.environment["PILOTHOUSE_HOME"]) / "training" / run
    result = json.loads((folder / "result.json").read_text())
    assert (result["algo"], result["target"], result["name"]) == ("gbm", "CAPSULE", "prostate")
    assert 0.6 < result["metrics"]["auc"] < 1.0
    archive = check_archive(folder / result["mojo"])
    assert (archive.algo, archive.category) == ("gbm", "Binomial")
    with (folder / result["reference"]).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 380
    assert set(rows[0]) == {"CAPSULE", "AGE", "RACE", "DPROS", "DCAPS", "PSA", "VOL", "GLEASON"}
    shown = {artifact["type"]: artifact["data"] for artifact in flow_deployments.artifacts(run)}
    assert shown["progress"] == 100
    assert "auc" in shown["table"]
    assert [process.pid for process in psutil.process_iter(["cmdline"]) if _is_cluster_of(worker, process)] == []


@pytest.mark.usefixtures("worker")
def test_data_that_is_not_there_fails_before_a_cluster_starts(flow_deployments: PrefectServer) -> None:
    run = flow_deployments.enqueue("train/train", {"data": "/nowhere/at-all.csv", "target": "y"})
    failed = flow_deployments.wait_for(run, {"FAILED"})
    assert "/nowhere/at-all.csv" in failed["state"]["message"]


def _is_cluster_of(worker: Worker, process: psutil.Process) -> bool:
    """Tell whether a process is an H2O cluster below the worker."""
    if not any("pilothouse-h2o-" in part for part in process.info["cmdline"] or ()):
        return False
    return worker.process.pid in {parent.pid for parent in process.parents()}
