"""Several processes that serve the API on one port: started, started again when they die, stopped together."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from prometheus_client.multiprocess import mark_process_dead

from api.settings import Settings
from api.shared_metrics import FOLDER_VARIABLE
from api.supervisor.backoff import GiveUp, after_exit, describe_exit
from api.supervisor.process import Command, launched

logger = logging.getLogger(__name__)

_WAITING_CONNECTIONS = 2048
_PROVEN_S = 10.0  # a worker that lived this long can work at all
_GRACE_S = 9.0


class TeamFailed(RuntimeError):
    """A worker ends again and again as soon as it is started."""


class Team:
    """Keeps `size` workers until SIGTERM or SIGINT. They share one socket, so no port is closed when one dies."""

    def __init__(self, settings: Settings, size: int) -> None:
        self._settings = settings
        self._size = size
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._was_ever_proven = False

    async def run(self) -> None:
        """Return when the team was asked to stop and has. Raises TeamFailed, and OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        with _listening(self._settings) as shared, _metrics_folder(self._settings.home) as folder:
            keepers = [asyncio.create_task(self._keep(place, shared, folder)) for place in range(1, self._size + 1)]
            stop = asyncio.create_task(self._stopping.wait())
            try:
                await asyncio.wait({stop, *keepers}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._stopping.set()
                await self._end_all()
                await asyncio.gather(stop, *keepers, return_exceptions=True)
            for keeper in keepers:
                keeper.result()

    async def _keep(self, place: int, shared: socket.socket, folder: Path) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            process = await self._start(shared, folder)
            self._processes[place] = process
            if self._stopping.is_set():
                process.kill()  # whoever ends the others did not see it yet; it serves nobody
            code = await process.wait()
            self._processes.pop(place, None)
            mark_process_dead(process.pid, str(folder))  # type: ignore[no-untyped-call]
            if self._stopping.is_set():
                return
            lived_s = time.monotonic() - began
            self._was_ever_proven |= lived_s > _PROVEN_S
            decision = after_exit(failures=failures, was_ever_ready=self._was_ever_proven, ready_for_s=lived_s)
            failures = decision.failures
            if isinstance(decision, GiveUp):
                raise TeamFailed(f"API worker {place} {describe_exit(code)}; given up after {failures} attempts")
            logger.warning("API worker %d %s; again in %g s", place, describe_exit(code), decision.delay_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), decision.delay_s)

    async def _start(self, shared: socket.socket, folder: Path) -> asyncio.subprocess.Process:
        """Start a worker in our process group, which ends with us."""
        environment = {**os.environ, FOLDER_VARIABLE: str(folder)}
        arguments = (sys.executable, "-m", "api.worker", str(shared.fileno()))
        command = Command(arguments, environment, Path.cwd())
        return await asyncio.create_subprocess_exec(
            *launched(command), stdin=asyncio.subprocess.DEVNULL, env=environment, pass_fds=(shared.fileno(),)
        )

    async def _end_all(self) -> None:
        """Ask every worker to finish what it has begun; kill those that do not in time."""
        processes = list(self._processes.values())
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        waiting = [asyncio.create_task(process.wait()) for process in processes]
        if waiting:
            await asyncio.wait(waiting, timeout=_GRACE_S)
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    with socket.create_server(address[:2], family=family, backlog=_WAITING_CONNECTIONS) as shared:
        shared.set_inheritable(True)
        yield shared


@contextlib.contextmanager
def _metrics_folder(home: Path) -> Iterator[Path]:
    """Yield a fresh folder for the workers' figures; remove those that killed teams left behind."""
    folders = home / "metrics"
    folders.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in folders.iterdir():
        if not (left.name.isdecimal() and psutil.pid_exists(int(left.name))):
            shutil.rmtree(left, ignore_errors=True)
    own = folders / str(os.getpid())
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(mode=0o700)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
