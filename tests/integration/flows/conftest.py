"""A real Prefect server, our flow deployments on it, a database and forking workers."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from sqlalchemy import make_url

from api.prefect_api import PrefectApi
from api.supervisor.databases import asyncpg_url, has_trigrams, prefect_database_url
from monitoring.store.database import Database, psycopg_url

ROOT = Path(__file__).resolve().parents[3]
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass
class PrefectServer:
    """A Prefect server of the tests' own, and the environment in which its command line and workers run."""

    port: int
    environment: dict[str, str]
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=f"{self.address}/api", timeout=20)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *arguments: str, timeout_s: float = 120) -> "subprocess.CompletedProcess[str]":
        """Run a Python module to its end, e.g. `run("prefect", "deploy", "--all")`."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def call(self, method: str, path: str, body: object = None) -> Any:
        return self.client.request(method, path, json=body).raise_for_status().json()

    def flow_deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/deployments/name/{name}")
        return found

    def enqueue(self, name: str, parameters: dict[str, Any], **more: object) -> str:
        """Enqueue a run of a flow deployment; return its id."""
        body = {"parameters": parameters, **more}
        return str(self.call("POST", f"/deployments/{self.flow_deployment(name)['id']}/create_flow_run", body)["id"])

    def wait_for(self, flow_run_id: str, states: set[str], timeout_s: float = 90) -> dict[str, Any]:
        """Return the run once it is in one of the states (or in an end state, lest the wait be in vain)."""
        deadline = time.monotonic() + timeout_s
        while True:
            run: dict[str, Any] = self.call("GET", f"/flow_runs/{flow_run_id}")
            if run["state_type"] in states | ENDED:
                assert run["state_type"] in states, (run["state_type"], run["state"]["message"])
                return run
            assert time.monotonic() < deadline, (states, run["state"])
            time.sleep(0.1)

    def wait_until_over(self, flow_deployments: list[str], timeout_s: float = 90) -> None:
        """Return once no run of these flow deployments is queued or under way: none is left by the test before."""
        ids = [self.flow_deployment(name)["id"] for name in flow_deployments]
        wanted = {"deployments": {"id": {"any_": ids}}, "flow_runs": {"state": {"type": {"not_any_": sorted(ENDED)}}}}
        deadline = time.monotonic() + timeout_s
        while left := self.call("POST", "/flow_runs/filter", wanted):
            assert time.monotonic() < deadline, [(run["name"], run["state"]) for run in left]
            time.sleep(0.1)

    def set_state(self, flow_run_id: str, state: str, *, force: bool = False) -> None:
        self.call("POST", f"/flow_runs/{flow_run_id}/set_state", {"state": {"type": state}, "force": force})

    def artifacts(self, flow_run_id: str) -> list[dict[str, Any]]:
        wanted = {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}}}
        found: list[dict[str, Any]] = self.call("POST", "/artifacts/filter", wanted)
        return found


@pytest.fixture(scope="session")
def flows_database_url(postgres_url: str, template_database: str) -> str:
    """The URL of a migrated database that the session's workers use; it goes with the PostgreSQL of the session."""
    name = f"flows_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template_database}")
        connection.execute(f"CREATE DATABASE {name}_prefect")
    return psycopg_url(make_url(postgres_url).set(database=name).render_as_string(hide_password=False))


@pytest.fixture
def flows_database(flows_database_url: str) -> Iterator[Database]:
    """The workers' database."""
    opened = Database(flows_database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory, flows_database_url: str) -> Iterator[PrefectServer]:
    """A Prefect server on a free loopback port, with a home of its own, in the session's PostgreSQL as `up` does it."""
    folder = tmp_path_factory.mktemp("prefect")
    port = _free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PILOTHOUSE_"))}
    environment = {
        **kept,
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": asyncpg_url(prefect_database_url(flows_database_url)),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",  # a run of the clock would come between those of a test
        "DO_NOT_TRACK": "1",
        "PILOTHOUSE_HOME": str(folder / "pilothouse"),
        "PILOTHOUSE_DATABASE_URL": flows_database_url,
        "PILOTHOUSE_ALLOWED_ADDRESSES": "127.0.0.1",
        "PILOTHOUSE_LOG_EXPORT_TO": str(folder / "exported"),
        "PYTHONUNBUFFERED": "1",
    }
    module = "prefect" if has_trigrams(flows_database_url) else "flows.prefect_server"
    command = [sys.executable, "-m", module, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    server = PrefectServer(port, environment)
    try:
        _await(lambda: server.client.get("/health").is_success, process, folder / "server.log")
        yield server
    finally:
        server.client.close()
        _stop(process)


@pytest.fixture(scope="session")
def flow_deployments(prefect_server: PrefectServer) -> PrefectServer:
    """The server, with prefect.yaml deployed by the plain command line."""
    pool = {"name": "pilothouse", "type": "process", "base_job_template": {}}
    prefect_server.call("POST", "/work_pools/", pool)
    done = prefect_server.run("prefect", "--no-prompt", "deploy", "--all")
    assert done.returncode == 0, done.stdout + done.stderr
    return prefect_server


class Worker:
    """A forking worker as a process of its own."""

    def __init__(
        self, server: PrefectServer, log: Path, *, pool: str, preload: bool = False, ignoring_sigint: bool = False
    ) -> None:
        self.log = log
        command = [sys.executable, "-m", "flows.worker", "--pool", pool, "--preload" if preload else "--no-preload"]
        if ignoring_sigint:  # as a shell script starts what it puts in the background
            command = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *command]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, env=server.environment, cwd=log.parent, stdout=output, stderr=output
            )
        _await(lambda: "started!" in log.read_text(), self.process, log)
        if preload:
            _await(self._listens_with_everything_imported, self.process, log)

    def _listens_with_everything_imported(self) -> bool:
        sockets = [
            found for fork in psutil.Process(self.process.pid).children() for found in fork.net_connections("unix")
        ]
        return any(str(found.laddr).endswith("heavy.sock") for found in sockets)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=40)


@pytest.fixture(scope="session")
def worker(flow_deployments: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker that serves the session's runs. Tests that break workers start their own."""
    started = Worker(
        flow_deployments, tmp_path_factory.mktemp("worker") / "worker.log", pool="pilothouse", preload=True
    )
    yield started
    _stop(started.process)


@pytest.fixture
def paused_pool(flow_deployments: PrefectServer) -> Iterator[None]:
    """Our work pool hands out no runs meanwhile: what a test enqueues stays queued."""
    flow_deployments.client.patch("/work_pools/pilothouse", json={"is_paused": True}).raise_for_status()
    yield
    flow_deployments.client.patch("/work_pools/pilothouse", json={"is_paused": False}).raise_for_status()


@pytest.fixture
def prefect_api(prefect_server: PrefectServer) -> Iterator[PrefectApi]:
    """Our client of the server."""
    client = PrefectApi(f"{prefect_server.address}/api")
    yield client
    client.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(is_ready: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if is_ready():
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    _stop(process)
    raise RuntimeError(f"Not ready: {log.read_text()[-3000:]}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
