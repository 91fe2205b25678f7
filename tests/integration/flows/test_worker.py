"""What becomes of runs and processes when something is cancelled, dies or is told to stop."""

import asyncio
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from prefect.client.orchestration import PrefectClient

from flows import reaping
from monitoring.store.database import Database
from tests.integration.flows.conftest import PrefectServer, Worker
from tests.integration.flows.drift_subjects import add_subject

SHARED, OWN = "shared", "own"  # pools: one with a worker for the module, one for workers that a test breaks
StartRun = Callable[..., str]


@pytest.fixture(scope="module")
def server(flow_deployments: PrefectServer) -> PrefectServer:
    """The server with the drift flow also in this module's pools: no other worker takes its runs."""
    drift = flow_deployments.flow_deployment("drift/drift")
    copied = {name: drift[name] for name in ("flow_id", "entrypoint", "parameter_openapi_schema")}
    for pool in (SHARED, OWN):
        flow_deployments.call("POST", "/work_pools/", {"name": pool, "type": "process", "base_job_template": {}})
        wanted = {**copied, "name": pool, "work_pool_name": pool, "pull_steps": []}
        flow_deployments.call("POST", "/deployments/", wanted)
    return flow_deployments


@pytest.fixture(scope="module")
def shared_worker(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker of the pool that outlives what happens to its runs."""
    worker = Worker(server, tmp_path_factory.mktemp("worker") / "worker.log", pool=SHARED)
    yield worker
    worker.stop()


@pytest.fixture
def locked(flows_database: Database) -> Iterator["psycopg.Connection[Any]"]:
    """A connection whose lock on the profiles holds every drift run in the middle, until it rolls back."""
    with psycopg.connect(flows_database.url) as connection:
        connection.execute("LOCK TABLE reference_profile IN ACCESS EXCLUSIVE MODE")
        yield connection
        connection.rollback()


@pytest.fixture(scope="module")
def deployment_id(flows_database_url: str) -> uuid.UUID:
    """A deployment to look at; made once, before anything locks the profiles."""
    database = Database(flows_database_url)
    made = add_subject(database, rows=0)
    database.close()
    return made


@pytest.fixture
def start_run(server: PrefectServer, deployment_id: uuid.UUID) -> StartRun:
    """A function that enqueues a drift run in a pool and returns its id."""
    return lambda pool: server.enqueue(f"drift/{pool}", {"deployment_id": str(deployment_id)})


@dataclass
class IdleWorker:
    """As much of a worker as reaping asks for: one that has no run in hand."""

    _work_pool_name: str
    name: str = field(default_factory=reaping.worker_name)
    active: set[uuid.UUID] = field(default_factory=set)
    _submitting_flow_run_ids: set[uuid.UUID] = field(default_factory=set)


async def reap_once(server: PrefectServer, pool: str) -> None:
    async with PrefectClient(f"{server.address}/api") as client:
        await reaping.reap(client, IdleWorker(pool), now=datetime.now(UTC))


def run_process(worker: Worker) -> psutil.Process:
    """Return the forked process of the worker's one flow run: the child of a fork server."""
    servers = [child for child in psutil.Process(worker.process.pid).children() if "flows.worker" in child.cmdline()]
    (found,) = [run for server in servers for run in server.children() if not is_over(run)]
    return found


def until(is_true: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def is_over(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.usefixtures("locked")
def test_a_cancelled_run_is_stopped(server: PrefectServer, shared_worker: Worker, start_run: StartRun) -> None:
    run = start_run(SHARED)
    server.wait_for(run, {"RUNNING"})
    process = run_process(shared_worker)
    server.set_state(run, "CANCELLING")
    server.wait_for(run, {"CANCELLED"})
    until(lambda: is_over(process), "the run's process lives on")


def test_a_run_that_dies_by_a_signal_is_crashed_and_the_next_one_runs(
    server: PrefectServer, shared_worker: Worker, start_run: StartRun, locked: "psycopg.Connection[Any]"
) -> None:
    run = start_run(SHARED)
    server.wait_for(run, {"RUNNING"})
    run_process(shared_worker).kill()
    crashed = server.wait_for(run, {"CRASHED"})
    assert "status code: -9" in crashed["state"]["message"]
    locked.rollback()
    server.wait_for(start_run(SHARED), {"COMPLETED"})


@pytest.mark.usefixtures("locked")
def test_a_worker_told_to_stop_ends_its_runs_and_leaves_nothing(
    server: PrefectServer,
    start_run: StartRun,
    tmp_path: Path,
) -> None:
    worker = Worker(server, tmp_path / "worker.log", pool=OWN, ignoring_sigint=True)
    run = start_run(OWN)
    server.wait_for(run, {"RUNNING"})
    family = psutil.Process(worker.process.pid).children(recursive=True)
    assert worker.stop(signal.SIGTERM) == 0
    assert [process for process in family if not is_over(process)] == []
    assert server.wait_for(run, {"CRASHED"})["state"]["message"] == "Execution was aborted by a termination signal."


def test_the_runs_of_a_killed_worker_are_settled_by_the_next(
    server: PrefectServer, start_run: StartRun, locked: "psycopg.Connection[Any]", tmp_path: Path
) -> None:
    killed = Worker(server, tmp_path / "killed.log", pool=OWN)
    running, submitted = start_run(OWN), start_run(OWN)
    server.wait_for(running, {"RUNNING"})
    server.wait_for(submitted, {"RUNNING"})
    signed = server.call("GET", f"/flow_runs/{running}")["labels"]["prefect.worker.name"]
    assert signed.startswith(f"{socket.gethostname()}-{killed.process.pid}-")
    family = psutil.Process(killed.process.pid).children(recursive=True)
    for process in [psutil.Process(killed.process.pid), *family]:
        process.kill()
    killed.process.wait()
    server.set_state(submitted, "PENDING", force=True)  # as a worker leaves one that it dies submitting
    locked.rollback()
    next_worker = Worker(server, tmp_path / "next.log", pool=OWN)
    try:
        assert signed in server.wait_for(running, {"CRASHED"})["state"]["message"]
        server.wait_for(submitted, {"COMPLETED"})
    finally:
        ended_with = next_worker.stop(signal.SIGINT)
    assert ended_with == 0


@pytest.mark.usefixtures("shared_worker", "locked")
def test_a_run_of_a_living_worker_elsewhere_is_left_alone(server: PrefectServer, start_run: StartRun) -> None:
    elsewhere = f"other-{uuid.uuid4().hex[:6]}-1-1"
    server.client.post(
        f"/work_pools/{SHARED}/workers/heartbeat", json={"name": elsewhere, "heartbeat_interval_seconds": 600}
    ).raise_for_status()
    run = start_run(SHARED)
    server.wait_for(run, {"RUNNING"})
    server.client.patch(f"/flow_runs/{run}/labels", json={"prefect.worker.name": elsewhere}).raise_for_status()
    asyncio.run(reap_once(server, SHARED))
    assert server.call("GET", f"/flow_runs/{run}")["state_type"] == "RUNNING"
    server.set_state(run, "CANCELLING")
    server.wait_for(run, {"CANCELLED"})
