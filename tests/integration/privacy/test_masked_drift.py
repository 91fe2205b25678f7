"""Drift of a deployment that masks, from what its predictions left in a real log: as if nothing were masked."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from monitoring.counts import fold
from monitoring.measurement import DriftMeasurement, measure
from monitoring.metrics import drift_psi
from monitoring.profile import Profile
from monitoring.samples import read_sample
from monitoring.store.database import Database
from monitoring.store.inference_rows import read_window
from monitoring.store.readings import Wanted
from monitoring.store.readings import measure as read_metrics
from monitoring.store.reference_profiles import deployment_profile, deployment_sample
from monitoring.windows import trailing_window
from tests.drift_reports import render_report
from tests.h2o_models import TrainedModels
from tests.integration.privacy.masked_serving import ask, deploy, import_model, logged

ROWS = 600
LABEL = "Canaria Annabella"
METRICS = frozenset({"drift_psi", "prediction_anomaly", "error_rate", "latency_p99", "model_staleness"})


def rows_of_older_patients() -> list[dict[str, Any]]:
    """Rows with drifted ages and PSA, some values absent, null, or of a label the model never saw."""
    rng = np.random.default_rng(3)
    rows = []
    for place in range(ROWS):
        row: dict[str, Any] = {
            "AGE": int(rng.normal(72, 5)),
            "RACE": LABEL if place % 10 == 0 else str(rng.integers(0, 3)),
            "DPROS": str(rng.integers(1, 5)),
            "DCAPS": "1",
            "PSA": round(float(rng.lognormal(2.6, 0.8)), 2),
            "VOL": 0,
            "GLEASON": 6,
        }
        if place % 7 == 0:
            row["PSA"] = None
        if place % 11 == 0:
            del row["RACE"]
        rows.append(row)
    return rows


@pytest.fixture
def measured(client: httpx.Client, database: Database, project_id: str, h2o_models: TrainedModels) -> tuple[str, str]:
    """Two deployments of one model that answered the same rows: one that masks nothing, one that masks."""
    model_id = import_model(client, project_id, h2o_models["gbm_binomial"])
    plain = deploy(client, project_id, model_id)
    columns = {"AGE": "age", "PSA": "income", "RACE": "person_name"}
    masking = deploy(client, project_id, model_id, privacy_column_map=columns)
    for deployment in (plain, masking):
        ask(client, deployment, rows_of_older_patients()).raise_for_status()
    assert LABEL not in str(logged(database, masking))
    return plain, masking


def drift_of(database: Database, deployment: str) -> tuple[Profile, DriftMeasurement, Any]:
    """Return profile, measurement and sample of the last hour, as the drift flow makes them."""
    deployment_id, window = uuid.UUID(deployment), trailing_window(datetime.now(UTC) + timedelta(minutes=1), 60)
    with database.transaction() as session:
        profile = deployment_profile(session, deployment_id)
    counts, sample = fold(profile, read_window(database.url, deployment_id, window, profile.features))
    return profile, measure(profile, counts), sample


def test_masked_columns_drift_as_unmasked_ones(database: Database, measured: tuple[str, str]) -> None:
    (_, before, _), (_, after, _) = (drift_of(database, deployment) for deployment in measured)
    assert (after.inference_rows, after.overall_status) == (ROWS, before.overall_status)
    for name in ("AGE", "PSA", "DPROS", "GLEASON"):
        assert after.features[name].psi == before.features[name].psi
        assert after.features[name].missing_share == before.features[name].missing_share
    assert before.features["AGE"].psi is not None
    assert before.features["AGE"].psi > 0.25
    race, raced = before.features["RACE"], after.features["RACE"]
    assert (raced.unseen_share, raced.missing_share) == (race.unseen_share, race.missing_share)
    assert raced.psi is not None
    assert race.psi is not None
    assert 0 < raced.psi <= race.psi
    assert after.features["AGE"].masked_share == 1
    assert before.features["AGE"].masked_share == 0
    assert after.prediction == before.prediction


def test_the_watched_metrics_are_the_same(database: Database, measured: tuple[str, str]) -> None:
    ids = [uuid.UUID(deployment) for deployment in measured]
    now = datetime.now(UTC) + timedelta(minutes=1)
    readings = read_metrics(database, [Wanted(each, 60, METRICS) for each in ids], now)
    plain, masked = (readings[each, 60] for each in ids)
    for metric in sorted(METRICS - {"latency_p99"}):
        assert masked.read(metric).samples == plain.read(metric).samples
    for feature in ("AGE", "PSA", "DPROS"):
        assert masked.read("drift_psi", feature).value == plain.read("drift_psi", feature).value
    for metric in ("drift_psi", "prediction_anomaly", "error_rate"):
        assert masked.read(metric).value == plain.read(metric).value
    assert masked.read("latency_p99").value is not None


def test_the_report_shows_measured_values_and_no_raw_ones(database: Database, measured: tuple[str, str]) -> None:
    profile, measurement, sample = drift_of(database, measured[1])
    assert drift_psi(measurement).value is not None
    with database.transaction() as session:
        reference = read_sample(deployment_sample(session, uuid.UUID(measured[1])))
    html = render_report(profile, measurement, reference, sample)
    assert LABEL not in html
    assert "known" in html
    assert "up to " in html
    _, _, plain = drift_of(database, measured[0])
    assert LABEL in render_report(profile, measurement, reference, plain)


def test_the_stored_drift_says_what_is_masked(
    client: httpx.Client, database: Database, measured: tuple[str, str]
) -> None:
    _, measurement, _ = drift_of(database, measured[1])
    shown = measurement.features_json()
    assert shown["AGE"]["masked_share"] == 1
    assert "masked_share" not in shown["DPROS"]
    metrics = client.get(f"/api/mlops/deployments/{measured[1]}/metrics").raise_for_status().json()
    assert set(metrics["features"]) == set(shown)
