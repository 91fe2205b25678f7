"""Requests and labels of many deployments over one window: out of the rollups, and of the log where it is not folded.

A call takes three statements, however many deployments there are.
"""

import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import Session

from monitoring.latency import GAMMA, SMALLEST_MS, LatencyHistogram
from monitoring.metrics import LabelCounts, RequestCounts
from monitoring.pieces import Pieces
from monitoring.slices import Pair
from monitoring.store.window_pieces import (
    RAW,
    SLICES,
    Wanted,
    find_pieces,
    raw_parameters,
    slice_parameters,
)
from monitoring.windows import Window

_FOLDED_REQUESTS = f"""
    SELECT place, sum(requests)::bigint AS requests, sum(failed)::bigint AS failed, string_agg(latency, '') AS latency
    FROM {SLICES} GROUP BY place
"""
# Rows of one request share its id, instant, status and latency. Buckets are those of `LatencyHistogram`.
_RAW_REQUESTS = f"""
    SELECT place, bucket, count(*) AS requests, count(*) FILTER (WHERE status_code >= 400) AS failed
    FROM {RAW} CROSS JOIN LATERAL (
        SELECT max(status_code) AS status_code,
               CAST(ceil(ln(greatest(CAST(max(latency_ms) AS double precision), :smallest_ms)) / :ln_gamma) AS int)
                 AS bucket
        FROM inference_log
        WHERE deployment_id = piece.deployment_id AND created_at >= piece.start AND created_at < piece.until
        GROUP BY created_at, request_id
    ) AS request
    GROUP BY place, bucket
"""
_FOLDED_LABELS = f"""
    SELECT place, sum(labels)::bigint AS labels, sum(correct)::bigint AS correct, sum(squared_error) AS squared_error
    FROM {SLICES} GROUP BY place
"""
_FOLDED_PAIRS = f"""
    SELECT pair ->> 0 AS actual, pair ->> 1 AS predicted, sum(CAST(pair ->> 2 AS bigint))::bigint AS predictions
    FROM {SLICES} CROSS JOIN LATERAL jsonb_array_elements(pairs) AS pair GROUP BY actual, predicted
"""
# PostgreSQL refuses a product that leaves double's range, up or down; so errors saturate at 1e140, and below 1e-140
# count as none.
_LABELLED = f"""
    {RAW} CROSS JOIN LATERAL (
        SELECT inference_id, predicted_at, label, number FROM feedback WHERE deployment_id = piece.deployment_id
           AND predicted_at >= piece.start AND predicted_at < piece.until OFFSET 0
    ) AS given
    CROSS JOIN LATERAL (
        SELECT prediction, least(greatest(score, -1e140), 1e140) - least(greatest(given.number, -1e140), 1e140) AS error
        FROM inference_log WHERE deployment_id = piece.deployment_id
           AND created_at = given.predicted_at AND id = given.inference_id AND status_code = 200
           AND (given.label IS NOT NULL OR score IS NOT NULL) OFFSET 0
    ) AS answer
"""
_RAW_LABELS = f"""
    SELECT place, count(*) AS labels, count(*) FILTER (WHERE label = prediction) AS correct,
           coalesce(sum(error * error) FILTER (WHERE number IS NOT NULL AND abs(error) > 1e-140), 0)
             AS squared_error
    FROM {_LABELLED} GROUP BY place
"""
_RAW_PAIRS = f"""
    SELECT label AS actual, prediction AS predicted, count(*) AS predictions
    FROM {_LABELLED} WHERE label IS NOT NULL GROUP BY actual, predicted
"""


def limit_statements(session: Session, seconds: int) -> None:
    """Bound every later statement of this transaction; one that takes longer fails."""
    session.execute(text("SELECT set_config('statement_timeout', :bound, true)"), {"bound": f"{seconds}s"})


def count_requests(
    session: Session, deployment_ids: Sequence[uuid.UUID], window: Window
) -> dict[uuid.UUID, RequestCounts]:
    """Return the requests logged in the window by deployment; one that has none is left out."""
    wanted = [(deployment_id, window) for deployment_id in deployment_ids]
    pieces = find_pieces(session, wanted)
    counted = _folded_requests(session, wanted, pieces)
    buckets: dict[int, dict[int, int]] = defaultdict(dict)
    failed: Counter[int] = Counter()
    given = raw_parameters(wanted, pieces) | {"smallest_ms": SMALLEST_MS, "ln_gamma": math.log(GAMMA)}
    for row in session.execute(text(_RAW_REQUESTS), given):
        buckets[row.place][row.bucket] = row.requests
        failed[row.place] += row.failed
    for place, its in buckets.items():
        raw = RequestCounts(sum(its.values()), failed[place], LatencyHistogram(its))
        counted[place] = counted.get(place, RequestCounts()) + raw
    return {deployment_ids[place]: requests for place, requests in counted.items() if requests.requests}


def _folded_requests(session: Session, wanted: Sequence[Wanted], pieces: Sequence[Pieces]) -> dict[int, RequestCounts]:
    given = slice_parameters(wanted, pieces)
    if not given["places"]:
        return {}
    return {
        row.place: RequestCounts(row.requests, row.failed, LatencyHistogram.from_bytes(row.latency))
        for row in session.execute(text(_FOLDED_REQUESTS), given)
    }


def count_labels(session: Session, deployment_ids: Sequence[uuid.UUID], window: Window) -> dict[uuid.UUID, LabelCounts]:
    """Return by deployment the labels of predictions made in the window, whenever they came; none: left out."""
    wanted = [(deployment_id, window) for deployment_id in deployment_ids]
    pieces = find_pieces(session, wanted, labels=True)
    counted: dict[int, LabelCounts] = {}
    for statement, given in (
        (_FOLDED_LABELS, slice_parameters(wanted, pieces)),
        (_RAW_LABELS, raw_parameters(wanted, pieces)),
    ):
        for row in session.execute(text(statement), given) if given["places"] else ():
            labels = LabelCounts(row.labels, row.correct, row.squared_error)
            counted[row.place] = counted.get(row.place, LabelCounts(0, 0, 0.0)) + labels
    return {deployment_ids[place]: labels for place, labels in counted.items() if labels.labels}


def count_pairs(session: Session, deployment_id: uuid.UUID, window: Window) -> Counter[Pair]:
    """Return how many of the window's labelled predictions there are by (actual, predicted)."""
    wanted = [(deployment_id, window)]
    pieces = find_pieces(session, wanted, labels=True)
    counted: Counter[Pair] = Counter()
    for statement, given in (
        (_FOLDED_PAIRS, slice_parameters(wanted, pieces)),
        (_RAW_PAIRS, raw_parameters(wanted, pieces)),
    ):
        for row in session.execute(text(statement), given) if given["places"] else ():
            counted[row.actual, row.predicted] += row.predictions
    return counted
