"""Runs that a dead worker left behind: found, and given an honest end or a second start."""

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Protocol
from uuid import UUID

import httpx
import psutil
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType, WorkerStatus
from prefect.logging import get_logger
from prefect.states import Cancelled, Crashed, Scheduled

INTERVAL_S = 5.0
SUBMISSION_GRACE = timedelta(seconds=60)
SIGNING_GRACE = timedelta(seconds=5)
_OPEN = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


class Verdict(Enum):
    """What becomes of a run found in an open state."""

    LEAVE = "its worker lives"
    RESCHEDULE = "its worker died before it started"
    CRASH = "its worker died while it ran"
    CANCEL = "its worker died before it could be cancelled"


@dataclass(frozen=True)
class OpenRun:
    """What the decision looks at: the state and its start, and the worker named on the run."""

    id: UUID
    state: StateType
    since: datetime
    worker: str | None


def judge(run: OpenRun, *, is_alive: Callable[[str, OpenRun], bool], now: datetime) -> Verdict:
    """Decide about an open run. One that waits to start may carry its last worker's name until the next has signed it.

    A run that no worker has signed gets a minute; one that runs unsigned was not started by a worker and stays.
    """
    age = now - run.since
    if run.worker is None:
        orphaned = run.state is not StateType.RUNNING and age > SUBMISSION_GRACE
    elif run.state is StateType.PENDING:
        orphaned = age > SIGNING_GRACE and not is_alive(run.worker, run)
    else:
        orphaned = not is_alive(run.worker, run)
    if not orphaned:
        return Verdict.LEAVE
    return {
        StateType.PENDING: Verdict.RESCHEDULE,
        StateType.RUNNING: Verdict.CRASH,
        StateType.CANCELLING: Verdict.CANCEL,
    }[run.state]


def worker_name() -> str:
    """Return a name that says which process this is: host, process id and the second it started."""
    return f"{socket.gethostname()}-{os.getpid()}-{int(psutil.Process().create_time())}"


def is_process_alive(name: str, *, host: str) -> bool | None:
    """Say whether the worker process of that name runs on `host` (this one); None when it is not ours to know."""
    prefix, _, started = name.rpartition("-")
    named_host, _, pid = prefix.rpartition("-")
    if named_host != host or not pid.isdigit() or not started.isdigit():
        return None
    try:
        process = psutil.Process(int(pid))
        return int(process.create_time()) == int(started) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class PoolWorker(Protocol):
    """The part of a worker that reaping asks: its name, its pool and the runs it has in hand."""

    name: str
    _work_pool_name: str
    active: set[UUID]
    _submitting_flow_run_ids: set[UUID]


async def reap_forever(worker: PoolWorker) -> None:
    """Reap now and every five seconds; a server that is away is tried again."""
    logger = get_logger("pilothouse.reaping")
    async with get_client() as client:
        while True:
            try:
                for run, verdict in await reap(client, worker, now=datetime.now(UTC)):
                    logger.warning("Flow run %s: %s -> %s", run, verdict.value, verdict.name.lower())
            except httpx.TransportError:
                logger.debug("The Prefect server does not answer")
            except Exception:  # the worker serves on; the next round tries again
                logger.exception("Runs of dead workers could not be settled")
            await asyncio.sleep(INTERVAL_S)


async def reap(client: PrefectClient, worker: PoolWorker, *, now: datetime) -> list[tuple[UUID, Verdict]]:
    """Settle the pool's open runs whose worker is dead; return what was done."""
    pool = worker._work_pool_name  # noqa: SLF001 - Prefect keeps the name of a pool not yet read there
    runs = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_OPEN))),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
    )
    if not runs:
        return []
    online = {seen.name for seen in await client.read_workers_for_work_pool(pool) if seen.status is WorkerStatus.ONLINE}
    host = socket.gethostname()

    def is_alive(name: str, run: OpenRun) -> bool:
        if run.id in worker.active or run.id in worker._submitting_flow_run_ids:  # noqa: SLF001
            return True
        if name == worker.name:
            return now - run.since < SUBMISSION_GRACE
        known = is_process_alive(name, host=host)
        return name in online if known is None else known

    settled: list[tuple[UUID, Verdict]] = []
    for run in filter(None, map(_open_run, runs)):
        verdict = judge(run, is_alive=is_alive, now=now)
        if verdict is not Verdict.LEAVE:
            await client.set_flow_run_state(run.id, _state_of(verdict, run), force=verdict is not Verdict.CRASH)
            settled.append((run.id, verdict))
    return settled


def _open_run(run: FlowRun) -> OpenRun | None:
    if run.state is None:
        return None
    worker = run.labels.get("prefect.worker.name")
    return OpenRun(run.id, run.state.type, run.state.timestamp, str(worker) if worker else None)


def _state_of(verdict: Verdict, run: OpenRun) -> State[None]:
    message = f"Worker {run.worker or '(unknown)'} died"
    if verdict is Verdict.RESCHEDULE:
        return Scheduled(message=f"{message} before the run started; scheduled again.")
    if verdict is Verdict.CRASH:
        return Crashed(message=f"{message} while it ran this.")
    return Cancelled(message=f"{message} before it could stop this.")
