"""Prometheus metrics: requests by route, the process, and what became of log rows."""

from litestar import Response, get
from litestar.datastructures import State
from litestar.plugins.prometheus import PrometheusConfig
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from api.shared_metrics import request_metrics

REQUEST_METRICS = PrometheusConfig(
    app_name="pilothouse",
    prefix="pilothouse",
    group_path=True,  # one series a route, never one an id
    exclude=["^/health/", "^/metrics$", "^/schema"],
    buckets=[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0],
)


@get(
    "/metrics",
    operation_id="GetMetrics",
    summary="Prometheus metrics",
    tags=["health"],
    media_type="text/plain",
    sync_to_thread=True,
)
def get_metrics(state: State) -> Response[bytes]:
    """Return the figures of all workers of this machine's API in Prometheus' text format."""
    own: CollectorRegistry = state.metrics
    return Response(
        generate_latest(request_metrics()) + generate_latest(own), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )
