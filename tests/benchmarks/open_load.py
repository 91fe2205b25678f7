"""An open-loop load generator: requests come by the clock (Poisson), whether or not earlier ones are answered."""

import asyncio
import json
import random
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

from tests.benchmarks.load import request_bytes

_TICK_S = 0.001


@dataclass(frozen=True)
class OpenLoad:
    """What to send, how many times a second, over at most so many connections."""

    port: int
    path: str
    headers: dict[str, str]
    body: str
    connections: int
    seconds: float
    per_second: float


@dataclass(frozen=True)
class OpenOutcome:
    """What came back. Latencies are in milliseconds from when the request was due; `lag` is the generator's own."""

    offered: int
    accepted: int
    refused: int
    others: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused_p50_ms: float
    refused_p99_ms: float
    refused_most_ms: float
    lag_p99_ms: float


class _Connection(asyncio.Protocol):
    """Sends one request at a time and notes how long its answer took."""

    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._buffer = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._run.idle.append(self)

    def send(self, due: float) -> None:
        self._due = due
        self._transport.write(self._run.request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = buffer.find(b"content-length:")
        if len(buffer) < end + 4 + int(buffer[at + 15 : buffer.find(b"\r\n", at)]):
            return
        self._run.note(buffer[9:12], time.perf_counter() - self._due)
        self._buffer = b""
        self._run.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.lost += exc is not None or not self._run.done


class _Run:
    def __init__(self, load: OpenLoad) -> None:
        self.request = request_bytes(load.path, load.headers, load.body)
        self.idle: list[_Connection] = []
        self.taken: dict[bytes, list[float]] = {}
        self.lags: list[float] = []
        self.lost = 0
        self.offered = 0
        self.done = False

    def note(self, status: bytes, seconds: float) -> None:
        self.taken.setdefault(status, []).append(seconds)

    async def send_all(self, load: OpenLoad) -> None:
        """Send what is due; where no connection is free it waits, and that counts."""
        draw = random.Random(1)
        due = start = time.perf_counter()
        while due < start + load.seconds:
            now = time.perf_counter()
            while due <= now and self.idle:
                self.lags.append(now - due)
                self.idle.pop().send(due)
                self.offered += 1
                due += draw.expovariate(load.per_second)
            await asyncio.sleep(_TICK_S)


async def _run(load: OpenLoad) -> OpenOutcome:
    loop, run = asyncio.get_running_loop(), _Run(load)
    for _ in range(load.connections):
        await loop.create_connection(lambda: _Connection(run), "127.0.0.1", load.port)
    started = time.perf_counter()
    await run.send_all(load)
    seconds = time.perf_counter() - started
    await asyncio.sleep(1)
    run.done = True
    accepted, refused = run.taken.pop(b"200", []), run.taken.pop(b"503", [])
    answered = len(accepted) + len(refused)
    return OpenOutcome(
        offered=run.offered,
        accepted=len(accepted),
        refused=len(refused),
        others=run.offered - answered + run.lost,
        seconds=seconds,
        p50_ms=_percentile(accepted, 0.5),
        p99_ms=_percentile(accepted, 0.99),
        refused_p50_ms=_percentile(refused, 0.5),
        refused_p99_ms=_percentile(refused, 0.99),
        refused_most_ms=_percentile(refused, 1.0),
        lag_p99_ms=_percentile(run.lags, 0.99),
    )


def _percentile(seconds: list[float], share: float) -> float:
    ordered = sorted(seconds)
    return 1000 * ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def run_open_load(load: OpenLoad) -> OpenOutcome:
    """Run a load in a process of its own and return what came of it."""
    command = [sys.executable, "-m", "tests.benchmarks.open_load"]
    finished = subprocess.run(command, input=json.dumps(asdict(load)), capture_output=True, text=True, check=True)
    return OpenOutcome(**json.loads(finished.stdout))


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(_run(OpenLoad(**json.loads(sys.stdin.read())))))))
