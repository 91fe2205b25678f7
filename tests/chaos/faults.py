"""Doing harm to an installation's own processes, by their ids, and to the disk its spool is on."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from api.supervisor.orphans import postgres_processes
from tests.chaos.plan import Fault
from tests.e2e.installation import Installation

_DISK_MB = 96


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Put a small file system below a folder, where we may; yield whether it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = os.geteuid() == 0 and not _quiet("mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(folder))
    try:
        yield mounted
    finally:
        if mounted:
            _quiet("umount", "-l", str(folder))


def _quiet(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode


class Harm:
    """Injects faults into one installation."""

    def __init__(self, installation: Installation, spool: Path, *, has_own_disk: bool) -> None:
        self._installation = installation
        self._spool = spool
        self._has_own_disk = has_own_disk

    def do(self, fault: Fault) -> None:
        """Inject one fault, and end it where it lasts."""
        part, _, what = fault.kind.partition(" ")
        if fault.kind in {"api killed", "prefect killed", "worker killed"}:
            self._kill_part(part)
        elif part in {"postgres", "backends"} and what == "killed":
            self._kill_postgres(backend=part == "backends")
        elif fault.kind == "postgres hangs":
            self._hang(fault.for_s)
        elif fault.kind == "disk full":
            self._fill_disk(fault.for_s)
        else:
            self._restart_up()

    def _kill_part(self, name: str) -> None:
        state = json.loads((self._installation.home / "up.json").read_text())
        pid = next(part["pid"] for part in state["parts"] if part["name"] == name)
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _postgres(self) -> list[psutil.Process]:
        return postgres_processes(self._installation.home / "postgres" / "data")

    def _kill_postgres(self, *, backend: bool) -> None:
        """Kill the postmaster, or one client's backend, which makes the server start all of them anew."""
        processes = self._postgres()
        clients = [each for each in processes[1:] if "pilothouse" in " ".join(_command(each))]
        for process in clients[:1] if backend else processes[:1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _hang(self, seconds: float) -> None:
        stopped = self._postgres()
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        time.sleep(seconds)
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _fill_disk(self, seconds: float) -> None:
        """Fill the spool's disk while the database hangs: then there is nowhere to put a row."""
        filler = self._spool / "filler"
        if self._has_own_disk:
            with filler.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(2**20))
        self._hang(seconds)
        filler.unlink(missing_ok=True)

    def _restart_up(self) -> None:
        """Kill everything at once, as a machine that loses power, and start again."""
        self._installation.kill_everything()
        self._installation.start()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
