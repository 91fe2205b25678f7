"""The figures of all workers in one scrape, whichever of them answers it.

Each worker writes its own figures into a folder that they share, once a second; who is asked adds them up. What
prometheus_client counts by itself (requests by route) it shares by the same folder.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from prometheus_client import PROCESS_COLLECTOR, REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own
_EVERY_S = 1.0
_ALIVE_S = 5.0
_LEAST = ("_up", "_held")  # one worker that is not up is told; the others add up, or have the largest told
_LARGEST = ("_seconds", "_spool_bytes", "_spool_segments")


class _Sample(msgspec.Struct, frozen=True):
    name: str
    labels: dict[str, str]
    value: float


class _Figure(msgspec.Struct, frozen=True):
    name: str
    text: str
    type: str
    samples: list[_Sample]


_decode = msgspec.json.Decoder(list[_Figure]).decode


def shared_folder() -> Path | None:
    """Return the folder that the workers of our team share; None when we serve alone."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder) if folder else None


def request_metrics() -> CollectorRegistry:
    """Return what is counted as requests come in, of all workers."""
    folder = shared_folder()
    if folder is None:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return registry


class SharedFigures(Collector):
    """Figures that each worker has of its own: given as they are, or joined over the team."""

    def __init__(self, folder: Path | None, *collectors: Collector) -> None:
        self._folder = folder
        self._collectors = collectors if folder is None else (*collectors, PROCESS_COLLECTOR)

    def collect(self) -> Iterator[Metric]:
        """Yield the figures as they are now; of the other workers as they were at most a second ago."""
        if self._folder is None:
            yield from self._own()
            return
        self.publish()
        joined: dict[str, Metric] = {}
        for figures in _read_all(self._folder):
            for figure in figures:
                _join(joined.setdefault(figure.name, Metric(figure.name, figure.text, figure.type)), figure.samples)
        yield from joined.values()

    @asynccontextmanager
    async def published(self) -> AsyncIterator[None]:
        """Let the other workers know our figures inside the block."""
        if self._folder is None:
            yield
            return
        telling = asyncio.create_task(self._tell())
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            await asyncio.to_thread(self.publish)

    async def _tell(self) -> None:
        while True:
            await asyncio.to_thread(self.publish)
            await asyncio.sleep(_EVERY_S)

    def publish(self) -> None:
        """Write our figures where the other workers find them."""
        if self._folder is None:
            return
        figures = [_Figure(each.name, each.documentation, each.type, _samples(each)) for each in self._own()]
        partial = self._folder / f"{os.getpid()}.{time.monotonic_ns()}.part"
        partial.write_bytes(msgspec.json.encode(figures))
        partial.replace(self._folder / f"{os.getpid()}.json")

    def _own(self) -> Iterator[Metric]:
        for collector in self._collectors:
            yield from collector.collect()


def _samples(metric: Metric) -> list[_Sample]:
    return [_Sample(sample.name, sample.labels, sample.value) for sample in metric.samples]


def _read_all(folder: Path) -> Iterator[list[_Figure]]:
    """Yield every worker's figures; of those that are gone only what they counted."""
    for file in sorted(folder.glob("*.json")):
        figures = _decode(file.read_bytes())
        is_alive = time.time() - file.stat().st_mtime < _ALIVE_S
        yield [figure for figure in figures if is_alive or figure.type == "counter"]


def _join(metric: Metric, samples: Sequence[_Sample]) -> None:
    known = {(sample.name, tuple(sample.labels.items())): place for place, sample in enumerate(metric.samples)}
    for sample in samples:
        place = known.get((sample.name, tuple(sample.labels.items())))
        if place is None:
            metric.add_sample(sample.name, sample.labels, sample.value)
            continue
        before = metric.samples[place]
        metric.samples[place] = before._replace(value=_joined(metric, before.value, sample.value))


def _joined(metric: Metric, one: float, other: float) -> float:
    if metric.type == "gauge" and metric.name.endswith(_LEAST):
        return min(one, other)
    if metric.type == "gauge" and metric.name.endswith(_LARGEST):
        return max(one, other)
    return one + other
