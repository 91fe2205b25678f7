"""Evidently's report for tests, which import this in place of `monitoring.drift`."""

import polars as pl

from monitoring.measurement import DriftMeasurement
from monitoring.profile import Profile


def render_report(
    profile: Profile, measurement: DriftMeasurement, reference: pl.DataFrame, current: pl.DataFrame
) -> str:
    """Render by `monitoring.drift`, imported now: each process of the suite collects all files, few need Evidently."""
    from monitoring import drift  # noqa: PLC0415 - loads Evidently, 4 s of a core

    return drift.render_report(profile, measurement, reference, current)
