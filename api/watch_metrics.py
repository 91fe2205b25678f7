"""The watch's figures for Prometheus and for readiness: somebody has to notice when it does not watch."""

import asyncio
import logging
from collections.abc import Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from api.health import PATIENCE_S, Check
from api.schemas.health import PartHealth
from monitoring.rules import SEVERITIES
from monitoring.store.database import Database
from monitoring.store.watch_figures import PATIENCE, WatchFigures, count_overdue, read_figures

logger = logging.getLogger(__name__)


class WatchCollector(Collector):
    """Reads the figures of all projects from the database; leaves them out while it is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """Yield the figures as they are now."""
        try:
            with self._database.transaction() as session:
                figures = read_figures(session)
        except SQLAlchemyError as error:
            logger.warning("no figures of the watch: %s", type(error).__name__)
            return
        yield from _metrics(figures)


def _metrics(figures: WatchFigures) -> Iterator[Metric]:
    open_alerts = GaugeMetricFamily("pilothouse_alerts_open", "Alerts not yet resolved", labels=["severity"])
    for severity in SEVERITIES:
        open_alerts.add_metric([severity], figures.open_alerts.get(severity, 0))
    yield open_alerts
    waiting = "Deliveries of notices not yet sent nor given up"
    yield GaugeMetricFamily("pilothouse_deliveries_waiting", waiting, value=figures.waiting)
    overdue = "Rules of active deployments not evaluated for five minutes"
    yield GaugeMetricFamily("pilothouse_watches_overdue", overdue, value=figures.overdue)
    if figures.evaluated_at is not None:
        last = "When a rule was last evaluated (Unix time)"
        yield GaugeMetricFamily("pilothouse_watch_evaluated_seconds", last, value=figures.evaluated_at.timestamp())


def watch_check(database: Database) -> Check:
    """Return the check that the rules are evaluated; never `down`, for predictions go on without."""

    def look() -> PartHealth:
        try:
            with database.transaction() as session:
                overdue = count_overdue(session)
        except SQLAlchemyError as error:
            return PartHealth("degraded", f"PostgreSQL does not answer ({type(error).__name__})")
        if overdue == 0:
            return PartHealth("ok")
        minutes = int(PATIENCE.total_seconds() // 60)
        return PartHealth(
            "degraded", f"alert rules not evaluated for {minutes} minutes: {overdue}; is a worker running?"
        )

    async def check() -> PartHealth:
        try:
            async with asyncio.timeout(PATIENCE_S * 0.75):
                return await asyncio.to_thread(look)
        except TimeoutError:
            return PartHealth("degraded", "PostgreSQL does not answer (TimeoutError)")

    return check
