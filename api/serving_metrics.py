"""The figures of the serving side, read when Prometheus asks: they reconcile, answered = stored + refused + waiting."""

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from api.serving import Serving


class ServingCollector(Collector):
    """Turns the log writer's counters and the registry's size into metrics."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def collect(self) -> Iterator[Metric]:
        """Yield the figures as they are now."""
        counters = self._serving.writer.counters
        yield _counter("log_rows_stored", "Inference-log rows made durable", counters.stored_rows)
        yield _counter(
            "log_rows_refused", "Inference-log rows refused, their requests with them", counters.refused_rows
        )
        yield _counter("log_batches_stored", "Transactions that stored log rows", counters.stored_batches)
        yield _gauge("log_rows_waiting", "Inference-log rows not yet durable", counters.backlog_rows)
        yield _gauge("log_bytes_waiting", "Bytes of log rows not yet durable", counters.backlog_bytes)
        yield _gauge("log_writer_up", "1 while the inference log can be written", int(self._serving.writer.is_up))
        failures = self._serving.privacy.failures.count
        yield _counter("privacy_failures", "Input rows and messages that could not be masked, so left out", failures)
        yield _gauge("deployments_loaded", "Deployments whose model is in memory", len(self._serving.registry))


def own_metrics(*collectors: Collector) -> CollectorRegistry:
    """Return a registry of these figures alone."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return registry


def _counter(name: str, text: str, value: int) -> Metric:
    return CounterMetricFamily(f"pilothouse_{name}", text, value=value)


def _gauge(name: str, text: str, value: int) -> Metric:
    return GaugeMetricFamily(f"pilothouse_{name}", text, value=value)
