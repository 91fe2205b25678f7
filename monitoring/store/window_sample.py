"""A bounded sample of a window's rows, for pictures."""

import uuid
from collections.abc import Iterator

import polars as pl
from sqlalchemy import text
from sqlmodel import Session

from monitoring.counts import fold
from monitoring.payloads import LogBatch
from monitoring.pieces import spread
from monitoring.profile import Profile
from monitoring.store.inference_rows import open_log
from monitoring.windows import Window

READ_ROWS = 20_000
"""How many rows a sample is drawn out of, about: those of minutes spread over the window."""

_MINUTES = text(
    "SELECT minute, row_count FROM inference_count WHERE deployment_id = :deployment_id AND status_code = 200 "
    "AND minute >= date_trunc('minute', CAST(:start AS timestamptz), 'UTC') AND minute < :end"
)


def sampled_stretches(
    session: Session, deployment_id: uuid.UUID, window: Window, *, rows: int = READ_ROWS
) -> list[Window]:
    """Return which stretches of the window to draw from; none where its rows have gone from the log, or never were."""
    given = {"deployment_id": deployment_id, "start": window.start, "end": window.end}
    counted = [(row.minute, row.row_count) for row in session.execute(_MINUTES, given)]
    inside = [(max(one.start, window.start), min(one.end, window.end)) for one in spread(counted, rows)]
    return [Window(start, end) for start, end in inside if start < end]


def read_window_sample(
    database_url: str, deployment_id: uuid.UUID, stretches: list[Window], profile: Profile
) -> pl.DataFrame | None:
    """Return a sample (`counts.fold`) of the stretches' rows, None when none has inputs. Raises LogUnreadable."""
    if not stretches:
        return None

    def batches() -> Iterator[LogBatch]:
        with open_log(database_url) as log:
            for stretch in stretches:
                yield from log.read(deployment_id, stretch, profile.features)

    _, sample = fold(profile, batches())
    return None if sample is None or sample.height == 0 else sample
