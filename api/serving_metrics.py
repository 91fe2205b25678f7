"""The figures of the serving side, as Prometheus asks: served = stored + spooled + refused + waiting, at any time."""

import time
from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from api.inference_log.spool import SpoolFigures
from api.serving import Serving


class ServingCollector(Collector):
    """Turns the log writer's counters and the registry's size into metrics."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def collect(self) -> Iterator[Metric]:
        """Yield the figures as they are now."""
        counters = self._serving.writer.counters
        yield _counter("log_rows_stored", "Inference-log rows made durable", counters.stored_rows)
        yield _counter("log_rows_served", "Inference-log rows that came in", counters.served_rows)
        yield _counter("log_rows_spooled", "Inference-log rows made durable in the spool", counters.spooled_rows)
        yield _counter(
            "log_rows_refused", "Inference-log rows refused, their requests with them", counters.refused_rows
        )
        yield _counter("log_batches_stored", "Transactions that stored log rows", counters.stored_batches)
        yield _gauge("log_rows_waiting", "Inference-log rows not yet durable", counters.backlog_rows)
        yield _gauge("log_bytes_waiting", "Bytes of log rows not yet durable", counters.backlog_bytes)
        oldest = self._serving.writer.oldest_age_s
        yield _gauge("log_oldest_waiting_seconds", "How long the oldest row in neither log nor spool waits", oldest)
        if (spool := self._serving.writer.spool) is not None:
            yield from _spool_metrics(spool.figures)
        yield _gauge("log_writer_up", "1 while the inference log can be written", int(self._serving.writer.is_up))
        failures = self._serving.privacy.failures.count
        yield _counter("privacy_failures", "Input rows and messages that could not be masked, so left out", failures)
        held = int(self._serving.lease.is_held)
        yield _gauge("production_lease_held", "1 while promotions elsewhere are sure to be heard of here", held)
        yield _gauge("deployments_loaded", "Deployments whose model is in memory", len(self._serving.registry))


def _spool_metrics(figures: SpoolFigures) -> Iterator[Metric]:
    age = 0.0 if figures.oldest_us is None else max(0.0, time.time() - figures.oldest_us / 1e6)
    yield _gauge("spool_rows_waiting", "Rows of this process in the spool", figures.waiting_rows)
    yield _gauge("spool_oldest_seconds", "Age of the oldest row of this process in the spool", age)
    yield _gauge("spool_bytes", "Bytes of the spool, of all processes of this home", figures.bytes)
    yield _gauge("spool_segments", "Files of the spool, of all processes of this home", figures.segments)
    yield _counter("spool_rows_replayed", "Spooled rows that joined the log, or were there", figures.replayed_rows)
    yield _counter("spool_rows_set_aside", "Spooled rows PostgreSQL refused, kept in a file", figures.set_aside_rows)
    yield _counter("spool_records_torn", "Spooled records cut off or damaged", figures.torn_records)
    yield _counter("spool_failures", "Writes that the spool did not take", figures.failures)


def own_metrics(*collectors: Collector) -> CollectorRegistry:
    """Return a registry of these figures alone."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return registry


def _counter(name: str, text: str, value: int) -> Metric:
    return CounterMetricFamily(f"pilothouse_{name}", text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"pilothouse_{name}", text, value=value)
