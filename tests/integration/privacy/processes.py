"""The API as a process of its own, so that all it says can be read."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx


@dataclass(frozen=True)
class ApiProcess:
    """A running `pilothouse api`: where it listens, its home, and the file with what it said."""

    base_url: str
    home: Path
    output: Path


@contextmanager
def api_process(database_url: str, folder: Path) -> Iterator[ApiProcess]:
    """Run `pilothouse api` on a migrated database; nothing listens where Prefect should be."""
    port = _free_port()
    home, output = folder / "home", folder / "output.txt"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PILOTHOUSE_")}
    own = {"HOME": str(home), "DATABASE_URL": database_url, "PORT": str(port), "PREFECT_PORT": "9"}
    environment = kept | {f"PILOTHOUSE_{name}": value for name, value in own.items()}
    with output.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli.main", "api"], env=environment, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            base_url = f"http://127.0.0.1:{port}"
            _wait(base_url, process, output)
            yield ApiProcess(base_url, home, output)
        finally:
            process.terminate()
            process.wait(30)


def _wait(base_url: str, process: "subprocess.Popen[bytes]", output: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"{base_url}/health/live").status_code == 200:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the API did not start:\n{output.read_text()}")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
