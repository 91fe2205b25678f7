"""A Prefect process worker whose flow runs are forked from a preloaded process: they start in a second or two.

It is Prefect's own `ProcessWorker` with another command: where that starts `python -m prefect.engine`, this starts the
small `fork_client`, which has the fork server run the very same engine module. Polling, logs, cancellation, crash
reports and concurrency limits are Prefect's. Where fork is not safe to use (not Linux) it is the plain worker.
Run as `python -m flows.worker`; a plain `prefect worker start --pool pilothouse` serves the same pool, more slowly.
"""

import asyncio
import os
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import click
import httpx
from prefect.client.schemas.objects import FlowRun
from prefect.context import refresh_global_settings_context
from prefect.utilities.processutils import command_to_string
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from flows import fork_client, fork_server, reaping

POOL = "pilothouse"
_FLOWS = ("flows.drift", "flows.sweep", "flows.training", "flows.watch", "flows.folding", "flows.delivering")
LIGHT = ("prefect.main", "prefect.flow_engine", "prefect.artifacts", "notifications.post_office", *_FLOWS)
# Evidently takes 5 s or more to import, so a second fork server has it; runs use the first one until that is ready.
# Polars (and ADBC, which imports it) stays out: it starts threads, which a fork does not copy.
HEAVY = (*LIGHT, "pyarrow", "evidently", "evidently.presets", "evidently.legacy.calculations.stattests")
DEFAULTS = {
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_WORKER_HEARTBEAT_SECONDS": "10",
    "PREFECT_WORKER_ENABLE_CANCELLATION": "true",
    "PREFECT_WORKER_CANCELLATION_POLL_SECONDS": "15",
    "DO_NOT_TRACK": "1",  # read when Evidently is imported
    "OPENBLAS_NUM_THREADS": "1",  # no BLAS threads in a process that forks
}
_LONGEST_WAIT_S = 15.0


class ForkingJobConfiguration(ProcessJobConfiguration):
    """A process job whose command, unless the flow deployment names one, is the fork client."""

    fork_servers: ClassVar[list[Path]] = []

    def prepare_for_flow_run(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Prefect's signature, passed on
        """Name the fork client as the command, then prepare as a process worker does."""
        if self.command is None and self.fork_servers:
            self.command = command_to_string(
                [sys.executable, "-I", "-S", str(Path(fork_client.__file__)), *map(str, self.fork_servers)]
            )
        super().prepare_for_flow_run(*args, **kwargs)


class ForkingWorker(ProcessWorker):
    """A process worker that outlives a Prefect server that goes away and knows which runs are its own."""

    job_configuration = ForkingJobConfiguration
    stopping = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Prefect's signature, passed on
        super().__init__(*args, **kwargs)
        self.active: set[UUID] = set()
        self._failures = 0

    @classmethod
    def __dispatch_key__(cls) -> str:
        """Register beside Prefect's own `process`, not in its place."""
        return "process-forking"

    async def run(self, flow_run: FlowRun, configuration: Any, task_status: Any = None) -> ProcessWorkerResult:  # noqa: ANN401
        """Run one flow run to its end, remembering it as ours meanwhile."""
        self.active.add(flow_run.id)
        try:
            return await super().run(flow_run, configuration, task_status)
        finally:
            self.active.discard(flow_run.id)

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Poll once. A server that is away is waited for; Prefect's loop would give up and kill the runs."""
        if self.stopping:
            return []
        try:
            runs = await super().get_and_submit_flow_runs()
        except httpx.HTTPError as error:
            await self._wait_for_server(error)
            return []
        self._failures = 0
        return runs

    async def sync_with_backend(self) -> None:
        """Send a heartbeat; one that fails is only logged, the next follows."""
        try:
            await super().sync_with_backend()
        except httpx.HTTPError as error:
            self._logger.warning("No heartbeat: the Prefect server does not answer (%s)", error or type(error).__name__)

    async def kill_infrastructure(self, infrastructure_pid: str, configuration: Any, grace_seconds: int = 30) -> None:  # noqa: ANN401, ARG002
        """End the process of a run cancelled before it started."""
        with suppress(ProcessLookupError, ValueError):
            os.kill(int(infrastructure_pid), signal.SIGTERM)

    async def _wait_for_server(self, error: httpx.HTTPError) -> None:
        self._failures += 1
        if self._failures == 1:
            self._logger.warning("The Prefect server does not answer (%s); trying on", error or type(error).__name__)
        await asyncio.sleep(min(2.0 ** (self._failures - 1), _LONGEST_WAIT_S))


async def serve(worker: ForkingWorker, lifelines: list[fork_server.Lifeline]) -> None:
    """Work until SIGTERM or SIGINT; then let the runs end (they report themselves) and stop."""
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # set explicitly: a shell may have started us with SIGINT ignored
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    tasks = [
        asyncio.create_task(worker.start()),
        asyncio.create_task(reaping.reap_forever(worker)),
        asyncio.create_task(asked_to_stop.wait()),
    ]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    worker.stopping = True
    for lifeline in lifelines:
        lifeline.let_go()
    for lifeline in lifelines:
        await asyncio.to_thread(lifeline.wait)
    await asyncio.sleep(0.2 if worker.active else 0)  # the executors read how their runs ended
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


@click.command()
@click.option("--pool", default=POOL, show_default=True, help="Work pool to serve; created when missing.")
@click.option("--limit", default=4, show_default=True, help="Flow runs at once.")
@click.option("--preload/--no-preload", default=True, help="Keep Evidently imported: about 220 MB, 5 s less a report.")
def main(pool: str, limit: int, *, preload: bool) -> None:
    """Serve a Prefect work pool with runs forked from a preloaded process."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    refresh_global_settings_context()
    folder = Path(tempfile.mkdtemp(prefix="pilothouse-worker-"))
    lifelines = []
    if sys.platform == "linux":
        ForkingJobConfiguration.fork_servers = [folder / "heavy.sock", folder / "light.sock"]
        # A forked run leaves through here by SystemExit: nothing above may clean up on the way out.
        lifelines = [fork_server.start(folder / "light.sock", LIGHT, at_once=True)]
        if preload:
            lifelines.append(fork_server.start(folder / "heavy.sock", HEAVY, siblings=lifelines))
    worker = ForkingWorker(work_pool_name=pool, name=reaping.worker_name(), limit=limit)
    try:
        asyncio.run(serve(worker, lifelines))
    finally:
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()


if __name__ == "__main__":
    main()
