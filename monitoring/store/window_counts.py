"""Requests and labels of many deployments over one window, each in a single statement."""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, text
from sqlmodel import Session

from monitoring.metrics import LabelCounts, RequestCounts
from monitoring.windows import Window

# Rows of one request share its id, instant, status and latency.
_REQUESTS = """
    SELECT deployment_id, count(*) AS requests, count(*) FILTER (WHERE status_code >= 400) AS failed,
           percentile_cont(0.99) WITHIN GROUP (ORDER BY latency_ms) AS p99_ms
    FROM (SELECT deployment_id, max(status_code) AS status_code, max(latency_ms) AS latency_ms
          FROM inference_log
          WHERE deployment_id = ANY(CAST(:deployment_ids AS uuid[])) AND created_at >= :start AND created_at < :end
          GROUP BY deployment_id, created_at, request_id) AS request
    GROUP BY deployment_id
"""

# PostgreSQL refuses a product that leaves double's range, up or down; so errors saturate at 1e140, and below 1e-140
# count as none.
_LABELLED = """
    SELECT feedback.deployment_id, answer.prediction, feedback.label,
           least(greatest(answer.score, -1e140), 1e140) - least(greatest(feedback.number, -1e140), 1e140) AS error
    FROM feedback JOIN inference_log AS answer
      ON answer.deployment_id = feedback.deployment_id
     AND answer.created_at = feedback.predicted_at AND answer.id = feedback.inference_id
    WHERE feedback.deployment_id = ANY(CAST(:deployment_ids AS uuid[]))
      AND feedback.predicted_at >= :start AND feedback.predicted_at < :end
      AND answer.created_at >= :start AND answer.created_at < :end AND answer.status_code = 200
      AND (feedback.label IS NOT NULL OR answer.score IS NOT NULL)
"""
_LABELS = f"""
    SELECT deployment_id, count(*) AS labels, count(*) FILTER (WHERE label = prediction) AS correct,
           coalesce(sum(error * error) FILTER (WHERE abs(error) > 1e-140), 0) AS squared_error
    FROM ({_LABELLED}) AS labelled GROUP BY deployment_id
"""
_PAIRS = f"""
    SELECT label AS actual, prediction AS predicted, count(*) AS predictions
    FROM ({_LABELLED}) AS labelled WHERE label IS NOT NULL
    GROUP BY label, prediction ORDER BY predictions DESC, actual, predicted LIMIT :limit
"""


def limit_statements(session: Session, seconds: int) -> None:
    """Bound every later statement of this transaction; one that takes longer fails."""
    session.execute(text("SELECT set_config('statement_timeout', :bound, true)"), {"bound": f"{seconds}s"})


def count_requests(
    session: Session, deployment_ids: Sequence[uuid.UUID], window: Window
) -> dict[uuid.UUID, RequestCounts]:
    """Return the requests logged in the window by deployment; one that has none is left out."""
    return {
        row["deployment_id"]: RequestCounts(row["requests"], row["failed"], row["p99_ms"])
        for row in _rows(session, _REQUESTS, _parameters(deployment_ids, window))
    }


def count_labels(session: Session, deployment_ids: Sequence[uuid.UUID], window: Window) -> dict[uuid.UUID, LabelCounts]:
    """Return by deployment the labels of predictions made in the window, whenever they came; none: left out."""
    return {
        row["deployment_id"]: LabelCounts(row["labels"], row["correct"], row["squared_error"])
        for row in _rows(session, _LABELS, _parameters(deployment_ids, window))
    }


def count_pairs(session: Session, deployment_id: uuid.UUID, window: Window, *, limit: int) -> list[RowMapping]:
    """Return (actual, predicted, predictions) of the window's labelled predictions, the most frequent first."""
    return _rows(session, _PAIRS, _parameters([deployment_id], window) | {"limit": limit})


def _parameters(deployment_ids: Sequence[uuid.UUID], window: Window) -> dict[str, Any]:
    return {"deployment_ids": list(deployment_ids), "start": window.start, "end": window.end}


def _rows(session: Session, statement: str, parameters: dict[str, Any]) -> list[RowMapping]:
    return list(session.execute(text(statement), parameters).mappings())
