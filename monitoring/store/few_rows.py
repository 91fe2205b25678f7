"""Few rows of the log, of many deployments in one statement: the ends of windows that are otherwise folded.

To open ADBC takes longer (tens of milliseconds) than to read them; for many rows it is the faster way by far.
"""

from collections.abc import Sequence
from itertools import groupby

import polars as pl
from sqlalchemy import text
from sqlmodel import Session

from monitoring.pieces import Pieces
from monitoring.store.window_pieces import RAW, Wanted, raw_parameters, read_rows

FEW_ROWS = 2_000
_MOST_ROWS = 20_000
_SCHEMA = {"inputs": pl.String, "bins": pl.String, "prediction": pl.String, "score": pl.Float64, "draw": pl.Int64}

_COUNTED = text(f"""
    SELECT place, sum(row_count)::bigint AS rows FROM {RAW} CROSS JOIN LATERAL (
        SELECT row_count FROM inference_count WHERE deployment_id = piece.deployment_id AND status_code = 200
           AND minute >= date_trunc('minute', piece.start, 'UTC') AND minute < piece.until OFFSET 0
    ) AS counted GROUP BY place
""")
_ROWS = f"""
    SELECT place, inputs, bins, prediction, score, draw FROM {RAW} CROSS JOIN LATERAL (
        SELECT CAST(inputs AS text) AS inputs, CAST(bins AS text) AS bins, prediction, score,
               uuid_hash_extended(id, 0) AS draw
        FROM inference_log WHERE deployment_id = piece.deployment_id AND status_code = 200
           AND created_at >= piece.start AND created_at < piece.until OFFSET 0
    ) AS answered ORDER BY place
"""


def with_few_rows(session: Session, wanted: Sequence[Wanted], pieces: Sequence[Pieces]) -> list[int]:
    """Return the places of partly folded windows with few rows left to read, so many that all can be held."""
    found = session.execute(_COUNTED, raw_parameters(wanted, pieces))
    rows = {row.place: row.rows for row in found}
    few, held = [], 0
    for place, its in enumerate(pieces):
        many = rows.get(place, 0)
        if (its.hours or its.minutes) and many <= FEW_ROWS and held + many <= _MOST_ROWS:
            held += many
            few.append(place)
    return few


def read_few(session: Session, wanted: Sequence[Wanted], pieces: Sequence[Pieces]) -> dict[int, pl.DataFrame]:
    """Return the answered rows of the windows' raw stretches by place, as `answered_batch` takes them."""
    rows = read_rows(session, _ROWS, raw_parameters(wanted, pieces))
    return {
        place: pl.DataFrame([tuple(row)[1:] for row in its], schema=_SCHEMA, orient="row")
        for place, its in groupby(rows, key=lambda row: int(row.place))
    }
