"""Which pieces the windows of deployments are put together from, and the rollups' part of them."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, text
from sqlmodel import Session

from monitoring.pieces import Pieces, split
from monitoring.store.rollup_rows import unpack
from monitoring.windows import Window

Wanted = tuple[uuid.UUID, Window]
_FETCHED = 500  # slices at a time: a few hundred bytes to some kilobytes each

# After the last slice nothing is folded, or there is nothing: a clock that was ahead leaves `folded_until` ahead.
_PROGRESS = text("""
    SELECT CASE WHEN progress.folded_until > last.until THEN last.until ELSE progress.folded_until END AS folded_until,
           ARRAY(SELECT DISTINCT minute FROM rollup_mark
                 WHERE CAST(:marked AS boolean) AND deployment_id = wanted.deployment_id AND minute < wanted.until
                   AND minute >= date_trunc('minute', wanted.start, 'UTC')) AS marked
    FROM unnest(CAST(:ids AS uuid[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[])) WITH ORDINALITY
      AS wanted(deployment_id, start, until, place)
    LEFT JOIN LATERAL (
        SELECT start + interval '1 minute' AS until FROM rollup WHERE deployment_id = wanted.deployment_id
           AND minutes = 1 AND start < wanted.until ORDER BY start DESC LIMIT 1
    ) AS last ON true
    LEFT JOIN rollup_progress AS progress ON progress.deployment_id = wanted.deployment_id AND last.until IS NOT NULL
    ORDER BY place
""")
# OFFSET 0 is a fence: each stretch is looked up by the key, where the planner might rather read the whole table.
SLICES = """
    unnest(CAST(:places AS int[]), CAST(:ids AS uuid[]), CAST(:lengths AS smallint[]), CAST(:starts AS timestamptz[]),
           CAST(:ends AS timestamptz[])) AS piece(place, deployment_id, minutes, start, until)
    CROSS JOIN LATERAL (SELECT * FROM rollup WHERE deployment_id = piece.deployment_id AND minutes = piece.minutes
                        AND start >= piece.start AND start < piece.until OFFSET 0) AS slice
"""
RAW = """
    unnest(CAST(:places AS int[]), CAST(:ids AS uuid[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]))
      AS piece(place, deployment_id, start, until)
"""


def find_pieces(session: Session, wanted: Sequence[Wanted], *, labels: bool = False) -> list[Pieces]:
    """Return each window's pieces, in one statement. For `labels` the minutes whose feedback is not folded are raw."""
    given = {
        "ids": [deployment_id for deployment_id, _ in wanted],
        "starts": [window.start for _, window in wanted],
        "ends": [window.end for _, window in wanted],
        "marked": labels,
    }
    found = session.execute(_PROGRESS, given).all()
    return [split(window, row.folded_until, row.marked) for (_, window), row in zip(wanted, found, strict=True)]


def slice_parameters(wanted: Sequence[Wanted], pieces: Sequence[Pieces]) -> dict[str, list[Any]]:
    """Return the parameters of SLICES; `place` is that of the window in `wanted`."""
    rows = [
        (place, deployment_id, length, stretch.start, stretch.end)
        for place, ((deployment_id, _), its) in enumerate(zip(wanted, pieces, strict=True))
        for length, stretch in its.slices
    ]
    return _columns(("places", "ids", "lengths", "starts", "ends"), rows)


def raw_parameters(wanted: Sequence[Wanted], pieces: Sequence[Pieces]) -> dict[str, list[Any]]:
    """Return the parameters of RAW; `place` is that of the window in `wanted`."""
    rows = [
        (place, deployment_id, stretch.start, stretch.end)
        for place, ((deployment_id, _), its) in enumerate(zip(wanted, pieces, strict=True))
        for stretch in its.raw
    ]
    return _columns(("places", "ids", "starts", "ends"), rows)


def _columns(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def read_rows(session: Session, statement: str, parameters: Mapping[str, Any]) -> Iterator[Row[Any]]:
    """Yield a statement's rows, of which only some are held at a time."""
    yield from session.execute(text(statement), parameters, execution_options={"yield_per": _FETCHED})


def folded_counts(session: Session, wanted: Sequence[Wanted], pieces: Sequence[Pieces]) -> dict[int, NDArray[np.int64]]:
    """Return the vectors of `WindowCounts` of the windows' slices by place, in one statement; without slices: none."""
    summed: dict[int, NDArray[np.int64]] = {}
    given = slice_parameters(wanted, pieces)
    if not given["places"]:
        return summed
    for place, counts in read_rows(session, f"SELECT place, counts FROM {SLICES} WHERE counts IS NOT NULL", given):
        vector = unpack(counts)
        summed[place] = summed[place] + vector if place in summed else vector
    return summed
