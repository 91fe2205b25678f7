"""A whole `pilothouse up` in a process of its own, on a fresh home and free ports."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).parents[2]
PARTS = {"postgres", "api", "prefect", "flows", "worker"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """Starts, asks and stops one installation; remembers every process it ever had."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.port, self.prefect_port = free_port(), free_port()
        own = {
            "PILOTHOUSE_HOME": str(home),
            "PILOTHOUSE_PORT": str(self.port),
            "PILOTHOUSE_PREFECT_PORT": str(self.prefect_port),
        }
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("PILOTHOUSE", "PREFECT"))
        }
        self.environment = {**inherited, **own, **environment}
        self.output = home.with_suffix(".out")
        self.seen: dict[int, psutil.Process] = {}
        self.up: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        with self.output.open("wb") as output:
            command = [sys.executable, "-m", "api.cli.main", "up", *options]
            self.up = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=self.environment, cwd=self.home.parent
            )

    def run(self, *arguments: str, timeout_s: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "api.cli.main", *arguments]
        return subprocess.run(
            command,
            env={**self.environment, **environment},
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return found

    def parts(self) -> dict[str, Any]:
        return {part["name"]: part for part in self.status()["parts"]}

    def wait(self, until: Callable[[], bool], *, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not until():
            assert self.up is not None
            assert self.up.poll() is None, f"up ended:\n{self.said()}"
            assert time.monotonic() < deadline, f"not in {timeout_s} s:\n{self.said()}"
            time.sleep(0.3)
        self.remember()

    def wait_ready(self) -> None:
        self.wait(lambda: "Ready in" in self.said(), timeout_s=150)

    def said(self) -> str:
        return self.output.read_text()

    def admin_key(self) -> str:
        found = re.search(r"Admin key\s+(pk_\w+)", self.said())
        assert found, self.said()
        return found[1]

    def remember(self) -> None:
        assert self.up is not None
        root = psutil.Process(self.up.pid)
        self.seen |= {process.pid: process for process in (root, *root.children(recursive=True))}

    def alive(self) -> list[str]:
        """The remembered processes that are still there."""
        left = [process for process in self.seen.values() if process.is_running()]
        return [str(process) for process in left if process.status() != psutil.STATUS_ZOMBIE]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.up is not None
        if self.up.poll() is None:
            self.remember()
            self.up.send_signal(number)
        return self.up.wait(90)

    def kill_everything(self) -> None:
        """SIGKILL for the supervisor and all it ever started, as a machine that runs out of memory would."""
        self.remember()
        for process in self.seen.values():
            if process.is_running():
                process.kill()
        assert self.up is not None
        self.up.wait(10)
