"""The labels of minutes of the log, for their slices."""

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from monitoring.metrics import LabelCounts
from monitoring.slices import Sums

# Errors saturate as in `window_counts`. They are added in the order of ids: folding again gives the same sum.
_LABELS = text("""
    SELECT due.deployment_id, due.minute, given.label, answer.prediction, count(*) AS predictions,
           coalesce(sum(error * error ORDER BY given.inference_id)
                    FILTER (WHERE given.number IS NOT NULL AND abs(error) > 1e-140), 0) AS squared
    FROM unnest(CAST(:deployments AS uuid[]), CAST(:minutes AS timestamptz[])) AS due(deployment_id, minute)
    CROSS JOIN LATERAL (
        SELECT inference_id, predicted_at, label, number FROM feedback WHERE deployment_id = due.deployment_id
           AND predicted_at >= due.minute AND predicted_at < due.minute + interval '1 minute' OFFSET 0
    ) AS given
    CROSS JOIN LATERAL (
        SELECT prediction, score FROM inference_log WHERE deployment_id = due.deployment_id
           AND created_at = given.predicted_at AND id = given.inference_id AND status_code = 200 OFFSET 0
    ) AS answer
    CROSS JOIN LATERAL (
        SELECT least(greatest(answer.score, -1e140), 1e140) - least(greatest(given.number, -1e140), 1e140) AS error
    ) AS compared
    WHERE given.label IS NOT NULL OR answer.score IS NOT NULL
    GROUP BY due.deployment_id, due.minute, given.label, answer.prediction
    ORDER BY due.deployment_id, due.minute, given.label, answer.prediction
""")


def read_labels(
    session: Session, minutes: Mapping[uuid.UUID, Collection[datetime]]
) -> dict[tuple[uuid.UUID, datetime], Sums]:
    """Return sums that hold nothing but labels and pairs, for those of the minutes that have any."""
    wanted = [(deployment_id, minute) for deployment_id, its in minutes.items() for minute in its]
    given = {"deployments": [one for one, _ in wanted], "minutes": [minute for _, minute in wanted]}
    found: dict[tuple[uuid.UUID, datetime], Sums] = {}
    for row in session.execute(_LABELS, given):
        correct = row.predictions if row.label is not None and row.label == row.prediction else 0
        pairs = {} if row.label is None else {(row.label, row.prediction): row.predictions}
        sums = Sums(labels=LabelCounts(row.predictions, correct, row.squared), pairs=pairs)
        key = (row.deployment_id, row.minute)
        found[key] = found.get(key, Sums()) + sums
    return found
