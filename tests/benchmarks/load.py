"""A light HTTP load generator: precomputed requests over keep-alive connections, one process, one uvloop."""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

import uvloop


@dataclass(frozen=True)
class Load:
    """What to send: the same request again and again over each connection."""

    port: int
    path: str
    headers: dict[str, str]
    body: str
    connections: int
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What came back. Latencies are in milliseconds."""

    requests: int
    failures: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


class _Connection(asyncio.Protocol):
    """Sends the request, waits for its whole answer, and sends it again until time is up."""

    def __init__(self, request: bytes, until: float) -> None:
        self._request = request
        self._until = until
        self._buffer = b""
        self._sent_at = 0.0
        self.latencies: list[float] = []
        self.failures = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + length:
            return
        now = time.perf_counter()
        self.latencies.append(now - self._sent_at)
        self.failures += not head.startswith(b"http/1.1 200")
        self._buffer = b""
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.failures += exc is not None
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)


def request_bytes(path: str, headers: dict[str, str], body: str) -> bytes:
    """Return a POST of JSON as it goes over the wire."""
    always = {"Host": "benchmark", "Content-Type": "application/json", "Content-Length": str(len(body.encode()))}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (always | headers).items())]
    return "\r\n".join([*lines, "", body]).encode()


async def _run(load: Load) -> Outcome:
    loop = asyncio.get_running_loop()
    request = request_bytes(load.path, load.headers, load.body)
    started = time.perf_counter()
    made = await asyncio.gather(
        *[
            loop.create_connection(lambda: _Connection(request, started + load.seconds), "127.0.0.1", load.port)
            for _ in range(load.connections)
        ]
    )
    connections = [protocol for _, protocol in made]
    await asyncio.gather(*[connection.done for connection in connections])
    seconds = time.perf_counter() - started
    latencies = sorted(latency for connection in connections for latency in connection.latencies)
    return Outcome(
        requests=len(latencies),
        failures=sum(connection.failures for connection in connections),
        seconds=seconds,
        p50_ms=1000 * statistics.median(latencies),
        p99_ms=1000 * latencies[int(len(latencies) * 0.99)],
    )


def run_load(load: Load) -> Outcome:
    """Run a load in a process of its own and return what came of it."""
    command = [sys.executable, "-m", "tests.benchmarks.load"]
    finished = subprocess.run(command, input=json.dumps(asdict(load)), capture_output=True, text=True, check=True)
    return Outcome(**json.loads(finished.stdout))


def best_of(loads: Sequence[Outcome]) -> Outcome:
    """Return the outcome with the median throughput."""
    return sorted(loads, key=lambda outcome: outcome.per_second)[len(loads) // 2]


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(_run(Load(**json.loads(sys.stdin.read())))))))
