"""The figures of the door: who was let in, who was turned away, and how many are connected."""

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.admission import Admission
from api.crowd import Crowd


class DoorCollector(Collector):
    """Turns what admission and the connections count into metrics."""

    def __init__(self, admission: Admission, crowd: Crowd) -> None:
        self._admission = admission
        self._crowd = crowd

    def collect(self) -> Iterator[Metric]:
        """Yield the figures as they are now."""
        admission, crowd = self._admission, self._crowd
        yield _counter("requests_shed", "Predictions turned away before they were read", admission.shed)
        yield _gauge("requests_at_hand", "Predictions admitted and not yet scored", admission.at_hand)
        yield _gauge(
            "request_cost_seconds", "What a small prediction costs, as measured", admission.service_time.request_s
        )
        yield _gauge("large_predictions", "Large predictions under way", admission.in_threads)
        yield _gauge("large_prediction_bytes", "Bodies of large predictions at hand", admission.large_bytes)
        yield _gauge("connections", "Open connections", len(crowd))
        yield _gauge("connections_idle", "Open connections without a request", crowd.idle_count)
        yield _counter("connections_closed_idle", "Idle connections that gave way to new ones", crowd.closed_idle)
        yield _counter("connections_turned_away", "Connections refused because there were too many", crowd.turned_away)
        yield _counter("connections_timed_out", "Requests and answers that took too long", crowd.timed_out)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"pilothouse_{name}", text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"pilothouse_{name}", text, value=value)
