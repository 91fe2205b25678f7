"""Processes an earlier run left behind: found by a mark in their environment, and ended."""

import os
from collections.abc import Sequence
from pathlib import Path

import psutil

MARK = "PILOTHOUSE_SUPERVISED_HOME"
_POSTGRES = "postgres"  # has its own way of being stopped


def marked_processes(home: Path) -> list[psutil.Process]:
    """Return the live processes started by an `up` on this home, their descendants included, PostgreSQL aside.

    The mark is inherited through any number of forks and sessions, and unlike a pid it is never reused.
    """
    own = {os.getpid(), *(ancestor.pid for ancestor in psutil.Process().parents())}
    return [process for process in psutil.process_iter() if process.pid not in own and _carries_mark(process, home)]


def _carries_mark(process: psutil.Process, home: Path) -> bool:
    try:
        return bool(process.environ().get(MARK) == str(home) and process.name() != _POSTGRES)
    except (psutil.Error, OSError):
        return False


def postgres_processes(data: Path) -> list[psutil.Process]:
    """Return the PostgreSQL processes that run in this data folder, the oldest (the postmaster) first."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == _POSTGRES and Path(process.cwd()) == data:
                found.append((process.create_time(), process.pid, process))
        except (psutil.Error, OSError):
            continue
    return [process for _, _, process in sorted(found, key=lambda each: each[:2])]


def end(processes: Sequence[psutil.Process], *, grace_s: float = 5.0) -> None:
    """Ask the processes to stop, and kill those that are still there after the grace."""
    for process in processes:
        _send(process, kill=False)
    _, alive = psutil.wait_procs(processes, timeout=grace_s)
    for process in alive:
        _send(process, kill=True)
    psutil.wait_procs(alive, timeout=grace_s)


def _send(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return
