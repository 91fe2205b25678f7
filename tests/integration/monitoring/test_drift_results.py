"""Results and reports as the database keeps them."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sqlmodel import func, select

from monitoring.counts import count_batch
from monitoring.measurement import DriftMeasurement, measure
from monitoring.payloads import LogBatch
from monitoring.profile import Predictions
from monitoring.samples import read_sample
from monitoring.store.database import Database
from monitoring.store.drift_results import (
    latest_result,
    read_report,
    record_report,
    record_result,
    result_history,
)
from monitoring.store.reference_profiles import ProfileMissing, deployment_profile, deployment_sample
from monitoring.store.tables import DriftReport, DriftResult
from monitoring.windows import trailing_window
from tests.drift_material import NOW, PlainFeature, add_deployment

FEATURES = [PlainFeature("x", "numeric"), PlainFeature("größe \"'", "categorical", ("a", "b"))]
WINDOW = trailing_window(NOW, 60)
REFERENCE = pl.DataFrame({"x": np.linspace(0, 1, 300), "größe \"'": ["a", "b", None] * 100})

Record = Callable[..., uuid.UUID]


@pytest.fixture
def deployment_id(database: Database) -> uuid.UUID:
    """A deployment of a regression model."""
    return add_deployment(database, REFERENCE, FEATURES, Predictions("Regression", REFERENCE["x"].to_numpy()))


def measurement_of(database: Database, deployment_id: uuid.UUID, rows: int) -> DriftMeasurement:
    with database.transaction() as session:
        profile = deployment_profile(session, deployment_id)
    frame = REFERENCE.head(rows)
    answers = {"prediction": [None] * rows, "score": frame["x"], "draw": range(rows)}
    return measure(profile, count_batch(profile, LogBatch(frame, pl.DataFrame(answers))))


@pytest.fixture
def record(database: Database, deployment_id: uuid.UUID) -> Record:
    """Record a measurement of the first `rows` reference rows."""

    def recorded(at: datetime = NOW, flow_run_id: uuid.UUID | None = None, rows: int = 200) -> uuid.UUID:
        measurement = measurement_of(database, deployment_id, rows)
        with database.transaction() as session:
            return record_result(session, deployment_id, measurement, WINDOW, flow_run_id=flow_run_id, computed_at=at)

    return recorded


def test_a_result_comes_back_as_it_was_measured(database: Database, deployment_id: uuid.UUID, record: Record) -> None:
    record()
    measurement = measurement_of(database, deployment_id, 200)
    with database.transaction() as session:
        result = latest_result(session, deployment_id)
    assert result is not None
    assert result.features == measurement.features_json()
    assert result.prediction == measurement.prediction_json()
    assert (result.overall_status, result.overall_psi) == (measurement.overall_status, measurement.overall_psi)
    assert (result.window_start, result.window_end, result.computed_at) == (WINDOW.start, WINDOW.end, NOW)
    assert result.inference_rows == 200


def test_a_weighted_mean_is_kept_where_there_is_one(database: Database, deployment_id: uuid.UUID) -> None:
    weighted = replace(measurement_of(database, deployment_id, 200), weighted_psi=0.125)
    with database.transaction() as session:
        record_result(session, deployment_id, weighted, WINDOW, flow_run_id=None, computed_at=NOW)
        result = latest_result(session, deployment_id)
    assert result is not None
    assert result.weighted_psi == 0.125


def test_a_flow_run_that_records_again_replaces_its_row(
    database: Database, deployment_id: uuid.UUID, record: Record
) -> None:
    run = uuid.uuid4()
    first = record(flow_run_id=run, rows=100)
    again = record(flow_run_id=run, rows=150, at=NOW + timedelta(minutes=1))
    assert first == again
    with database.transaction() as session:
        history = result_history(session, deployment_id, 10)
    assert [result.inference_rows for result in history] == [150]


def test_history_is_newest_first_and_of_one_deployment(
    database: Database, deployment_id: uuid.UUID, record: Record
) -> None:
    made = [record(at=NOW + timedelta(minutes=place % 3), rows=100 + place) for place in range(6)]
    with database.transaction() as session:
        history = result_history(session, deployment_id, 4)
        assert latest_result(session, uuid.uuid4()) is None
    assert [result.inference_rows for result in history] == [105, 102, 104, 101]
    assert history[0].id == made[5]


def test_the_newest_five_reports_are_kept(database: Database, deployment_id: uuid.UUID, record: Record) -> None:
    with database.transaction() as session:
        assert read_report(session, deployment_id) is None
    other = add_deployment(database, REFERENCE, FEATURES, Predictions("Regression", REFERENCE["x"].to_numpy()))
    with database.transaction() as session:
        theirs = record_result(
            session, other, measurement_of(database, other, 100), WINDOW, flow_run_id=None, computed_at=NOW
        )
        record_report(session, theirs, "other")
    for place in range(8):
        result_id = record(at=NOW + timedelta(minutes=place))
        with database.transaction() as session:
            record_report(session, result_id, f"<html>{place} é</html>")
            record_report(session, result_id, f"<html>{place} again é</html>")
    record(at=NOW + timedelta(hours=1))  # its report is not drawn yet
    with database.transaction() as session:
        assert read_report(session, deployment_id) == "<html>7 again é</html>"
        assert read_report(session, other) == "other"
        assert session.exec(select(func.count()).select_from(DriftReport)).one() == 6
        assert session.exec(select(func.count()).select_from(DriftResult)).one() == 10


def test_the_profile_and_sample_come_back_through_the_database(database: Database, deployment_id: uuid.UUID) -> None:
    with database.transaction() as session:
        profile = deployment_profile(session, deployment_id)
        sample = read_sample(deployment_sample(session, deployment_id))
        with pytest.raises(ProfileMissing):
            deployment_profile(session, uuid.uuid4())
        with pytest.raises(ProfileMissing):
            deployment_sample(session, uuid.uuid4())
    assert [feature.name for feature in profile.features] == [feature.name for feature in FEATURES]
    assert sample.columns == [*REFERENCE.columns, "prediction"]
    assert measurement_of(database, deployment_id, 300).overall_psi == 0.0


@pytest.mark.parametrize("tiny", [5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1 / 3])
def test_edges_survive_jsonb(database: Database, tiny: float) -> None:
    frame = pl.DataFrame({"x": [tiny, -tiny, 0.0] * 40})
    predictions = Predictions("Regression", [tiny] * 120)
    deployment_id = add_deployment(database, frame, [PlainFeature("x", "numeric")], predictions)
    with database.transaction() as session:
        profile = deployment_profile(session, deployment_id)
    again = add_deployment(database, frame, [PlainFeature("x", "numeric")], predictions)
    with database.transaction() as session:
        assert deployment_profile(session, again) == profile
    assert profile.features[0].binned.bins.count(frame["x"]).tolist() == list(profile.features[0].binned.expected)
