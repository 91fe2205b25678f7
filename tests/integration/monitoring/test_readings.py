"""All six metrics out of a real PostgreSQL: by request, by row, by label, and how many statements they take."""

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import Any, get_args

import numpy as np
import polars as pl
import psycopg
import pytest
from scipy.spatial.distance import jensenshannon
from sqlalchemy import event, text

from monitoring.counts import fold
from monitoring.measurement import DriftMeasurement
from monitoring.measurement import measure as measure_drift
from monitoring.profile import Predictions
from monitoring.rules import Metric, Reading
from monitoring.store import inference_rows, log_counting
from monitoring.store.database import Database
from monitoring.store.feedback import Observation, record_feedback
from monitoring.store.inference_rows import read_window
from monitoring.store.log_counting import Pass, Uncounted, count_passes
from monitoring.store.readings import Wanted, WindowReadings, measure
from monitoring.store.reference_profiles import deployment_profile
from monitoring.windows import trailing_window
from tests.drift_material import NOW, PlainFeature, add_deployment
from tests.logged_requests import Sent, log_requests

ALL: frozenset[Metric] = frozenset(get_args(Metric))
FEATURES = [PlainFeature("size", "numeric"), PlainFeature("city", "categorical", ("Delft", "Evora"))]
INPUTS = {"size": 0.5, "city": "Delft"}
RECENT = NOW - timedelta(minutes=5)


def classifier(database: Database) -> uuid.UUID:
    """A deployment whose model answered `no` and `yes` by halves, and was right in three of four."""
    labels = ["no", "yes"] * 200
    reference = pl.DataFrame(
        {"size": np.linspace(0, 1, 400), "city": ["Delft", "Evora"] * 200, "paid": ["no", "yes", "no", "no"] * 100}
    )
    predictions = Predictions("Binomial", np.linspace(0, 1, 400), labels, ("no", "yes"))
    return add_deployment(
        database, reference, FEATURES, predictions, target="paid", trained_at=NOW - timedelta(days=2, hours=12)
    )


def regression(database: Database) -> uuid.UUID:
    """A deployment whose model was off by 2 on its reference."""
    answers = np.linspace(0, 1, 400)
    reference = pl.DataFrame({"size": answers, "city": ["Delft"] * 400, "price": answers + 2})
    return add_deployment(database, reference, FEATURES, Predictions("Regression", answers), target="price")


def read(database: Database, deployment_id: uuid.UUID, minutes: int = 60, now: datetime = NOW) -> WindowReadings:
    return measure(database, [Wanted(deployment_id, minutes, ALL)], now)[deployment_id, minutes]


def label(database: Database, deployment_id: uuid.UUID, actuals: dict[uuid.UUID, Any], now: datetime = NOW) -> None:
    observations = [Observation(inference_id, actual) for inference_id, actual in actuals.items()]
    with database.transaction() as session:
        assert record_feedback(session, deployment_id, observations, now=now).accepted == len(actuals)


@pytest.fixture
def deployment_id(database: Database) -> uuid.UUID:
    return classifier(database)


def test_all_six_of_one_window(database: Database, deployment_id: uuid.UUID) -> None:
    sent = [Sent(RECENT, [INPUTS], ["yes"], [0.9], latency_ms=float(place)) for place in range(1, 100)]
    ids = log_requests(database, deployment_id, [*sent, Sent(RECENT, status_code=503, latency_ms=100.0)])
    label(database, deployment_id, {ids[0][0]: "yes", ids[1][0]: "no"})

    readings = read(database, deployment_id)

    read_values = {metric: readings.read(metric) for metric in ALL}
    assert {metric: reading.samples for metric, reading in read_values.items()} == {
        "drift_psi": 99,
        "prediction_anomaly": 99,
        "error_rate": 100,
        "latency_p99": 100,
        "accuracy_degradation": 2,
        "model_staleness": None,
    }
    assert read_values["error_rate"].value == 1.0
    assert read_values["latency_p99"].value == pytest.approx(99.0, rel=0.01)
    assert read_values["model_staleness"].value == 2.5
    assert read_values["accuracy_degradation"].value == pytest.approx(0.75 - 0.5)
    halves, only_yes = [0.5, 0.5], [0.0, 1.0]
    assert read_values["prediction_anomaly"].value == pytest.approx(float(jensenshannon(halves, only_yes, base=2)))
    assert set(readings.feature_psi()) == {"size", "city"}
    assert readings.window == trailing_window(NOW, 60)


def test_a_batch_is_one_request_whatever_its_rows(database: Database, deployment_id: uuid.UUID) -> None:
    refused = Sent(RECENT, [INPUTS] * 300, status_code=422, latency_ms=2.0)
    slow = Sent(RECENT, [INPUTS] * 200, ["no"] * 200, [0.1] * 200, latency_ms=80.0)
    quick = [Sent(RECENT, [INPUTS], ["no"], [0.1], latency_ms=1.0)] * 98
    log_requests(database, deployment_id, [refused, slow, *quick])

    readings = read(database, deployment_id)

    assert (readings.read("error_rate").value, readings.read("error_rate").samples) == (1.0, 100)
    assert readings.read("latency_p99").value == pytest.approx(2.0, rel=0.01)
    assert readings.read("prediction_anomaly").samples == 298


def _by_the_drift_flow(database: Database, deployment_id: uuid.UUID) -> DriftMeasurement:
    with database.transaction() as session:
        profile = deployment_profile(session, deployment_id)
    batches = read_window(database.url, deployment_id, trailing_window(NOW, 60), profile.features)
    return measure_drift(profile, fold(profile, batches)[0])


def test_drift_and_anomaly_are_the_drift_flows_numbers(database: Database, deployment_id: uuid.UUID) -> None:
    rng = np.random.default_rng(3)
    sent = [
        Sent(RECENT, [{"size": float(size), "city": "Evora"}], ["yes" if size > 0.4 else "no"], [0.5])
        for size in rng.random(500)
    ]
    log_requests(database, deployment_id, sent)
    measurement = _by_the_drift_flow(database, deployment_id)

    readings = read(database, deployment_id)

    assert readings.feature_psi() == {name: drift.psi for name, drift in measurement.features.items()}
    assert readings.read("drift_psi", "size").value == measurement.features["size"].psi
    assert readings.read("drift_psi").value == measurement.features["city"].psi
    assert measurement.prediction_shares is not None
    both = [(of["expected"], of["actual"]) for of in measurement.prediction_shares.values()]
    expected, actual = zip(*both, strict=True)
    assert readings.read("prediction_anomaly").value == pytest.approx(float(jensenshannon(expected, actual, base=2)))


def test_an_anomaly_needs_no_inputs(database: Database, deployment_id: uuid.UUID) -> None:
    kept = [Sent(RECENT, [INPUTS], ["no"], [0.1])] * 30
    bare = [Sent(RECENT, [None], ["yes"], [0.9])] * 90
    log_requests(database, deployment_id, [*kept, *bare])

    both = read(database, deployment_id)
    alone = measure(database, [Wanted(deployment_id, 60, frozenset({"prediction_anomaly"}))], NOW)[deployment_id, 60]

    assert both.read("drift_psi").samples == 30
    assert both.read("prediction_anomaly").samples == 120
    assert alone.read("prediction_anomaly") == both.read("prediction_anomaly")
    assert alone.read("drift_psi").value is None


def test_late_labels_count_in_the_window_of_their_predictions_in_any_order(
    database: Database, deployment_id: uuid.UUID
) -> None:
    old, new = NOW - timedelta(minutes=90), NOW - timedelta(minutes=10)
    sent = [Sent(old, [INPUTS] * 4, ["yes"] * 4, [0.9] * 4), Sent(new, [INPUTS] * 4, ["yes"] * 4, [0.9] * 4)]
    older, newer = log_requests(database, deployment_id, sent)

    label(database, deployment_id, {newer[2]: "yes", newer[0]: "no"})
    label(database, deployment_id, {older[3]: "no", newer[1]: "yes", older[0]: "no"}, now=NOW + timedelta(days=3))

    assert read(database, deployment_id).read("accuracy_degradation").samples == 3
    assert read(database, deployment_id).read("accuracy_degradation").value == pytest.approx(0.75 - 2 / 3)
    assert read(database, deployment_id, 120).read("accuracy_degradation").value == pytest.approx(0.75 - 2 / 5)
    assert read(database, deployment_id, 5).read("accuracy_degradation").samples == 0


def test_a_regressions_rmse_survives_numbers_at_the_ends_of_double(database: Database) -> None:
    one, other = regression(database), regression(database)
    scores = [1.0, 2.0, 1e308, 1e-300]
    ids = log_requests(database, one, [Sent(RECENT, [INPUTS] * 4, None, scores)])[0]
    others = log_requests(database, other, [Sent(RECENT, [INPUTS], None, [5.0])])[0]
    label(database, other, {others[0]: 8.0})
    label(database, one, {ids[0]: 1.0, ids[1]: 5.0, ids[3]: 2e-300})

    assert read(database, one).read("accuracy_degradation").value == pytest.approx(3**0.5 / 2 - 1)

    label(database, one, {ids[2]: -1e308})
    readings = measure(database, [Wanted(which, 60, ALL) for which in (one, other)], NOW)
    assert readings[one, 60].read("accuracy_degradation").value == pytest.approx(1e140 / 2, rel=1e-9)
    assert readings[other, 60].read("accuracy_degradation").value == pytest.approx(0.5)


def test_a_windows_ends_belong_to_one_window_only(database: Database, deployment_id: uuid.UUID) -> None:
    window = trailing_window(NOW, 60)
    instants = [window.start - timedelta(microseconds=1), window.start, window.end - timedelta(microseconds=1), NOW]
    log_requests(database, deployment_id, [Sent(at, [INPUTS], ["no"], [0.1]) for at in instants])

    readings = read(database, deployment_id)

    assert [readings.read(metric).samples for metric in ("drift_psi", "prediction_anomaly", "error_rate")] == [2, 2, 2]


@contextmanager
def statements(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count the statements sent, over the engine and over ADBC."""
    sent: Counter[str] = Counter()

    def over_engine(*_: object) -> None:
        sent["engine"] += 1

    def over_adbc(*given: Any, **named: Any) -> str:
        sent["adbc"] += 1
        return written(*given, **named)

    written = inference_rows._query
    with monkeypatch.context() as patched:
        patched.setattr(inference_rows, "_query", over_adbc)
        event.listen(database.engine, "before_cursor_execute", over_engine)
        yield sent
        event.remove(database.engine, "before_cursor_execute", over_engine)


def test_statements_grow_with_deployments_and_windows_and_not_with_rules(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployments = [classifier(database) for _ in range(3)]
    rules = [Wanted(which, 60, frozenset({metric})) for which in deployments for metric in sorted(ALL)]
    with statements(database, monkeypatch) as of_one:
        measure(database, [rule for rule in rules if rule.deployment_id == deployments[0]], NOW)
    with statements(database, monkeypatch) as of_all:
        measure(database, rules, NOW)
    with statements(database, monkeypatch) as of_many_rules:
        measure(database, rules * 50, NOW)
    with statements(database, monkeypatch) as without_drift:
        measure(database, [Wanted(which, 60, frozenset({"latency_p99"})) for which in deployments], NOW)

    assert of_one["adbc"] == 1
    assert of_all["adbc"] == 3
    assert of_many_rules == of_all
    assert of_all["engine"] == of_one["engine"] <= 11
    assert without_drift["adbc"] == 0
    assert without_drift["engine"] < of_one["engine"]


def test_a_part_that_fails_says_so_and_leaves_the_others(database: Database, deployment_id: uuid.UUID) -> None:
    log_requests(database, deployment_id, [Sent(RECENT, [INPUTS], ["no"], [0.1])])
    with database.transaction() as session:
        session.execute(text("ALTER TABLE feedback RENAME TO elsewhere"))

    readings = read(database, deployment_id)

    failed = readings.read("accuracy_degradation")
    assert (failed.value, failed.samples) == (None, None)
    assert "feedback" in failed.detail
    assert readings.read("error_rate").samples == 1
    assert readings.read("drift_psi").samples == 1


def test_one_unreadable_log_fails_its_own_readings(
    database: Database, deployment_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [classifier(database) for _ in range(4)]
    for which in (deployment_id, *others):
        log_requests(database, which, [Sent(RECENT, [INPUTS], ["no"], [0.1])])
    written = inference_rows._query

    def broken_for_one(which: uuid.UUID, *given: Any, **named: Any) -> str:
        return "SELECT 1/0" if which == deployment_id else written(which, *given, **named)

    monkeypatch.setattr(inference_rows, "_query", broken_for_one)
    readings = measure(database, [Wanted(which, 60, ALL) for which in (deployment_id, *others)], NOW)

    assert "division by zero" in readings[deployment_id, 60].read("drift_psi").detail
    assert readings[deployment_id, 60].read("error_rate").samples == 1
    assert {readings[which, 60].read("drift_psi").samples for which in others} == {1}


def test_rows_that_cannot_be_counted_fail_their_own_readings(
    database: Database, deployment_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = classifier(database)
    for which in (deployment_id, other):
        log_requests(database, which, [Sent(RECENT, [INPUTS], ["no"], [0.1])])
    counted = log_counting.count_window
    calls = count()

    def broken_once(*given: Any) -> Any:
        return int("none") if next(calls) == 0 else counted(*given)

    monkeypatch.setattr(log_counting, "count_window", broken_once)

    readings = measure(database, [Wanted(which, 60, ALL) for which in (deployment_id, other)], NOW)

    samples = [readings[which, 60].read("drift_psi").samples for which in (deployment_id, other)]
    assert sorted(samples, key=str) == [1, None]


def test_a_log_that_cannot_be_reached_fails_every_pass(database: Database, deployment_id: uuid.UUID) -> None:
    with database.transaction() as session:
        profile = deployment_profile(session, deployment_id)
    passes = [Pass(deployment_id, trailing_window(NOW, minutes), profile, True) for minutes in (1, 2, 3)]

    counted = count_passes(Database("postgresql://nobody@127.0.0.1:1/none"), passes, statement_timeout_s=5)

    assert all(isinstance(one, Uncounted) and "could not be read" in one.why for one in counted)


def test_unknown_deployments_and_missing_profiles_are_said(database: Database, deployment_id: uuid.UUID) -> None:
    nobody = uuid.uuid4()
    with psycopg.connect(database.url) as connection:
        connection.execute("DELETE FROM reference_profile")

    readings = measure(database, [Wanted(nobody, 60, ALL), Wanted(deployment_id, 60, ALL)], NOW)

    assert {readings[nobody, 60].read(metric) for metric in ALL} == {Reading(None, None, "there is no such deployment")}
    assert "no reference profile" in readings[deployment_id, 60].read("drift_psi").detail
    assert "no baseline" in readings[deployment_id, 60].read("accuracy_degradation").detail
    assert readings[deployment_id, 60].read("error_rate") == Reading(None, 0, "no request was logged in the window")
    assert readings[deployment_id, 60].read("model_staleness").value == 2.5


def test_nothing_wanted_is_nothing_measured(database: Database) -> None:
    assert measure(database, [], NOW) == {}
