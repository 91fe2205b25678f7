"""All that alert rules want of many deployments, measured at once: statements grow with windows, never with rules."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from monitoring.rules import Metric, Reading
from monitoring.store.database import Database
from monitoring.windows import Window, trailing_window


@dataclass(frozen=True)
class Wanted:
    """Which metrics of a deployment over which trailing window (1 to 44,640 minutes)."""

    deployment_id: uuid.UUID
    window_minutes: int
    metrics: frozenset[Metric]


@dataclass(frozen=True)
class WindowReadings:
    """What was measured of one deployment over one window."""

    window: Window

    def read(self, metric: Metric, feature: str | None = None) -> Reading:
        """Return one metric; one that could not be measured has neither value nor samples, and `detail` says why."""
        return Reading(None, None, f"{metric} of {feature or 'all features'} is not measured yet")


def measure(database: Database, wanted: Sequence[Wanted], now: datetime) -> dict[tuple[uuid.UUID, int], WindowReadings]:
    """Return the readings by deployment and window minutes, over the windows that end at `now`."""
    del database
    return {
        (one.deployment_id, one.window_minutes): WindowReadings(trailing_window(now, one.window_minutes))
        for one in wanted
    }
