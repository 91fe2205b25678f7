"""The peers' servers: started as their documentation says, asked until they answer, ended with all their children."""

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.benchmarks.installation import free_port
from tests.benchmarks.peers.environments import peer_environment
from tests.h2o_models import TrainedModel
from tests.h2o_training import free_port_pair

_START_S = 300.0
_HERE = Path(__file__).parent


@contextmanager
def mlserver(model: TrainedModel, *, parallel_workers: int) -> Iterator[int]:
    """Serve the model by MLServer with our runtime for MOJOs, its metrics and debugging off; yield the port."""
    environment, port = peer_environment("mlserver"), free_port()
    with tempfile.TemporaryDirectory(prefix="pilothouse-mlserver-") as folder:
        server = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        quick = {"debug": False, "parallel_workers": parallel_workers, "metrics_endpoint": None, "gzip_enabled": False}
        served = {"name": "peer", "implementation": "mojo_runtime.MojoRuntime", "parameters": {"uri": str(model.mojo)}}
        (Path(folder) / "settings.json").write_text(json.dumps(server | quick))
        (Path(folder) / "model-settings.json").write_text(json.dumps(served))
        variables = environment.variables | {"PYTHONPATH": str(_HERE)}
        command = [str(environment.folder / "bin" / "mlserver"), "start", "."]
        with _running(command, Path(folder), variables, f"http://127.0.0.1:{port}/v2/models/peer/ready"):
            yield port


@contextmanager
def mlflow(model: TrainedModel, row: Mapping[str, Any]) -> Iterator[int]:
    """Serve the model by `mlflow models serve` with the h2o flavor; yield the port."""
    environment, port, h2o_port = peer_environment("mlflow"), free_port(), free_port_pair()
    with tempfile.TemporaryDirectory(prefix="pilothouse-mlflow-") as folder:
        saved = Path(folder) / "model"
        variables = environment.variables
        told = [str(model.reference), model.target, json.dumps(row), str(saved), str(h2o_port)]
        save = [str(environment.python), str(_HERE / "mlflow_model.py"), *told]
        program = str(environment.folder / "bin" / "mlflow")
        command = [program, "models", "serve", "-m", str(saved), "-p", str(port), "--env-manager", "local"]
        try:
            done = subprocess.run(save, env=variables, cwd=folder, check=False, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(f"The model could not be saved:\n{done.stderr[-3000:]}")
            with _running(command, Path(folder), variables, f"http://127.0.0.1:{port}/ping"):
                yield port
        finally:
            _end_cluster(f"peer-{h2o_port}")


def columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as a request of the V2 protocol, a tensor for each feature."""
    return {"inputs": [_tensor(name, value) for name, value in row.items()]}


def numbers(encoded: list[float]) -> dict[str, Any]:
    """Return a row that is numbers already as a request of the V2 protocol, one tensor."""
    return {"inputs": [{"name": "row", "shape": [1, len(encoded)], "datatype": "FP64", "data": encoded}]}


def records(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as a request of mlflow."""
    return {"dataframe_records": [dict(row)]}


def _tensor(name: str, value: str | float) -> dict[str, Any]:
    datatype, data = ("BYTES", value) if isinstance(value, str) else ("FP64", float(value))
    return {"name": name, "shape": [1], "datatype": datatype, "data": [data]}


@contextmanager
def _running(command: list[str], folder: Path, variables: dict[str, str], ready: str) -> Iterator[None]:
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(server, ready, log)
            yield
        finally:
            _end(server)


def _end_cluster(name: str) -> None:
    """End the H2O cluster of a name, which outlives whoever started it and failed."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if name in process.cmdline():
                process.kill()


def _end(server: "subprocess.Popen[bytes]") -> None:
    """End a server and all its children, which may have begun sessions of their own."""
    with contextlib.suppress(psutil.NoSuchProcess):
        everything = [*psutil.Process(server.pid).children(recursive=True), psutil.Process(server.pid)]
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        for process in psutil.wait_procs(everything, timeout=10)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    server.wait(10)


def _wait_until_ready(server: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            httpx.get(url, trust_env=False).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"The server did not start:\n{log.read_text(errors='replace')[-6000:]}")
