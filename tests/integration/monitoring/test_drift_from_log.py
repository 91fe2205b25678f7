"""From rows in a real PostgreSQL to a stored drift result."""

import dataclasses
import re
import subprocess
import sys
import uuid
from datetime import timedelta

import numpy as np
import polars as pl
import psycopg
import pytest

from monitoring.counts import fold
from monitoring.measurement import DriftMeasurement, measure
from monitoring.profile import Predictions
from monitoring.store import inference_rows
from monitoring.store.database import Database
from monitoring.store.drift_results import record_result
from monitoring.store.inference_rows import LogUnreadable, read_window
from monitoring.store.reference_profiles import deployment_profile
from monitoring.windows import trailing_window
from tests.drift_material import (
    NOW,
    LogRow,
    PlainFeature,
    add_deployment,
    copy_log,
    log_rows,
    twenty_columns,
    twenty_features,
)

WINDOW = trailing_window(NOW, 60)


def _scores(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(rows)


def _yes(scores: np.ndarray) -> Predictions:
    return Predictions("Binomial", scores, ["yes"] * len(scores), ("no", "yes"))


def _measure(database: Database, deployment_id: uuid.UUID) -> DriftMeasurement:
    with database.transaction() as session:
        profile = deployment_profile(session, deployment_id)
    counts, _ = fold(profile, read_window(database.url, deployment_id, WINDOW, profile.features))
    return measure(profile, counts)


@pytest.fixture
def deployment_id(database: Database) -> uuid.UUID:
    """A deployment over 4,000 reference rows of twenty features."""
    return add_deployment(database, twenty_columns(4_000, seed=1), twenty_features(), _yes(_scores(4_000, seed=1)))


def test_rows_like_the_reference_score_below_their_critical_values(
    database: Database, deployment_id: uuid.UUID
) -> None:
    frame = twenty_columns(3_000, seed=2)
    copy_log(database.url, deployment_id, log_rows(frame, _scores(3_000, seed=2).tolist()))

    measurement = _measure(database, deployment_id)

    assert measurement.overall_status == "low"
    assert measurement.inference_rows == 3_000
    above = [name for name, f in measurement.features.items() if f.psi >= f.critical_value]
    assert len(above) <= 2  # at 99 % one in a hundred may be
    assert measurement.prediction.psi < 0.02


def test_shifted_rows_are_high_in_every_numeric_feature_and_only_there(
    database: Database, deployment_id: uuid.UUID
) -> None:
    copy_log(database.url, deployment_id, log_rows(twenty_columns(2_000, seed=3, shift=1.5)))

    measurement = _measure(database, deployment_id)

    statuses = {name: feature.status for name, feature in measurement.features.items()}
    assert {statuses[f"n{place:02}"] for place in range(14)} == {"high"}
    assert {statuses[f"c{place:02}"] for place in range(6)} == {"low"}
    assert measurement.overall_status == "high"
    assert measurement.prediction.status == "high"  # all scores 0.5


def test_only_answered_rows_of_the_deployment_inside_the_window_count(
    database: Database, deployment_id: uuid.UUID
) -> None:
    inputs = {"n00": 1.0, "c00": "Delft"}
    row = LogRow(inputs)
    inside = [
        dataclasses.replace(row, created_at=WINDOW.start),
        dataclasses.replace(row, created_at=WINDOW.end - timedelta(microseconds=1)),
    ]
    outside = [
        dataclasses.replace(row, created_at=WINDOW.start - timedelta(microseconds=1)),
        dataclasses.replace(row, created_at=WINDOW.end),
        dataclasses.replace(row, status_code=422, prediction=None, score=None),
    ]
    copy_log(database.url, deployment_id, [*inside, *outside, LogRow(None), LogRow(None)])
    copy_log(database.url, uuid.uuid4(), [row] * 7)

    measurement = _measure(database, deployment_id)

    assert (measurement.inference_rows, measurement.skipped_rows) == (2, 2)
    assert measurement.features["n01"].missing_share == 1.0
    assert measurement.features["n00"].missing_share == 0.0
    assert measurement.overall_status == "insufficient_data"


def test_an_empty_window_is_insufficient_and_has_no_numbers(database: Database, deployment_id: uuid.UUID) -> None:
    measurement = _measure(database, deployment_id)

    assert measurement.overall_status == "insufficient_data"
    assert measurement.overall_psi is None
    assert measurement.inference_rows == 0
    assert {feature.psi for feature in measurement.features.values()} == {None}
    with database.transaction() as session:
        record_result(session, deployment_id, measurement, WINDOW, flow_run_id=None, computed_at=NOW)


def test_a_window_over_midnight_reads_both_partitions_and_plans_no_other(
    database: Database, deployment_id: uuid.UUID
) -> None:
    rows = [LogRow({"n00": 1.0}, created_at=NOW - timedelta(hours=20 * place)) for place in range(5)]
    copy_log(database.url, deployment_id, rows)
    window = trailing_window(NOW + timedelta(seconds=1), 24 * 60)
    with database.transaction() as session:
        features = deployment_profile(session, deployment_id).features

    read = sum(batch.inputs.height for batch in read_window(database.url, deployment_id, window, features))

    assert read == 2
    with psycopg.connect(database.url) as connection:
        lines = connection.execute("EXPLAIN " + inference_rows._query(deployment_id, window)).fetchall()
    plan = "\n".join(line[0] for line in lines)
    assert set(re.findall(r" on (inference_log_\d+)", plan)) == {"inference_log_20260313", "inference_log_20260314"}
    assert "Index Cond" in plan


def test_values_of_the_wrong_kind_are_unseen_and_lose_no_row(database: Database) -> None:
    features = [PlainFeature("size", "numeric"), PlainFeature("city", "categorical", ("Delft", "1"))]
    reference = pl.DataFrame({"size": [1.0, 2.0, 3.0, 4.0] * 50, "city": ["Delft", "1", "Delft", None] * 50})
    deployment_id = add_deployment(database, reference, features, _yes(_scores(200, seed=1)))
    texts = [
        '{"size": "large", "city": "Delft"}',
        '{"size": "2.5", "city": 1}',
        '{"size": [1], "city": {"a": 1}}',
        '{"size": 1e999, "city": null}',
        '{"size": null, "city": "Ghent", "extra": [[]]}',
        "[1, 2]",
        '{"size": 1' + "0" * 400 + "}",
    ]
    copy_log(database.url, deployment_id, [LogRow(text) for text in texts])

    measurement = _measure(database, deployment_id)

    assert measurement.inference_rows == 7
    size, city = measurement.features["size"], measurement.features["city"]
    assert (size.unseen_share, size.missing_share) == (pytest.approx(4 / 7), pytest.approx(2 / 7))
    assert (city.unseen_share, city.missing_share) == (pytest.approx(2 / 7), pytest.approx(3 / 7))


def test_many_batches_give_the_counts_of_one(
    database: Database, deployment_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_log(database.url, deployment_id, log_rows(twenty_columns(5_000, seed=4)))
    with database.transaction() as session:
        profile = deployment_profile(session, deployment_id)
    whole, sample = fold(profile, read_window(database.url, deployment_id, WINDOW, profile.features))
    monkeypatch.setattr("monitoring.store.inference_rows._BATCH_BYTES", 100_000)

    batches = list(read_window(database.url, deployment_id, WINDOW, profile.features))
    parts, same_sample = fold(profile, batches)

    assert len(batches) > 5
    assert all((a == b).all() for a, b in zip(whole.features, parts.features, strict=True))
    assert sample is not None
    assert sample.height == 2_000
    assert sample.equals(same_sample)


def test_a_database_that_is_away_or_slow_is_log_unreadable(
    database: Database, deployment_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = "postgresql://nobody@127.0.0.1:1/none"
    with pytest.raises(LogUnreadable):
        list(read_window(away, deployment_id, WINDOW, []))
    copy_log(database.url, deployment_id, [LogRow({"n00": 1.0})])
    monkeypatch.setattr("monitoring.store.inference_rows._STATEMENT_TIMEOUT_S", 1)
    with psycopg.connect(database.url) as holder:
        holder.execute("LOCK TABLE inference_log IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(LogUnreadable, match="timeout"):
            list(read_window(database.url, deployment_id, WINDOW, twenty_features()))


def test_measuring_loads_neither_pandas_nor_evidently() -> None:
    """A drift run has its numbers before it pays for the report's libraries."""
    modules = (
        "monitoring.counts, monitoring.measurement, monitoring.store.inference_rows, monitoring.store.drift_results"
    )
    program = f"import sys, {modules}; print({{'pandas', 'evidently', 'scipy'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "set()"
