"""Actual values kept by inference id: known predictions only, replaced in turn, never lost to a race."""

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import polars as pl
import pytest
from sqlmodel import Session, select

from monitoring.actuals import ActualRefused
from monitoring.profile import Predictions
from monitoring.store.alert_tables import Feedback
from monitoring.store.database import Database
from monitoring.store.feedback import Observation, Recorded, deployment_actuals, record_feedback
from tests.drift_material import NOW, PlainFeature, add_deployment
from tests.logged_requests import Sent, log_requests

AT = NOW - timedelta(minutes=5, microseconds=123_457)


def add(database: Database) -> uuid.UUID:
    reference = pl.DataFrame({"size": [1.0, 2.0]})
    predictions = Predictions("Binomial", [0.1, 0.9], ["0", "1"], ("0", "1"))
    return add_deployment(database, reference, [PlainFeature("size", "numeric")], predictions)


@pytest.fixture
def deployment_id(database: Database) -> uuid.UUID:
    return add(database)


@pytest.fixture
def ids(database: Database, deployment_id: uuid.UUID) -> list[uuid.UUID]:
    """The inference ids of a batch of five."""
    return log_requests(database, deployment_id, [Sent(AT, [{"size": 1.0}] * 5, ["1"] * 5, [0.9] * 5)])[0]


def send(database: Database, deployment_id: uuid.UUID, said: Sequence[tuple[uuid.UUID, str]]) -> Recorded:
    with database.transaction() as session:
        observations = [Observation(inference_id, actual) for inference_id, actual in said]
        return record_feedback(session, deployment_id, observations, now=NOW)


def kept(session: Session) -> dict[uuid.UUID, str | None]:
    return {row.inference_id: row.label for row in session.exec(select(Feedback))}


def test_values_are_kept_with_the_instant_of_their_prediction(
    database: Database, deployment_id: uuid.UUID, ids: list[uuid.UUID]
) -> None:
    recorded = send(database, deployment_id, [(ids[1], "0"), (ids[0], "1")])

    assert recorded == Recorded(accepted=2, unknown=[], before={}, after={})
    with database.transaction() as session:
        assert kept(session) == {ids[1]: "0", ids[0]: "1"}
        assert set(session.exec(select(Feedback.predicted_at))) == {AT}


def test_only_answered_predictions_of_the_deployment_are_known(
    database: Database, deployment_id: uuid.UUID, ids: list[uuid.UUID]
) -> None:
    refused = log_requests(database, deployment_id, [Sent(AT, [{"size": 1.0}], status_code=422)])[0][0]
    theirs = log_requests(database, add(database), [Sent(AT, [{"size": 1.0}], ["1"], [0.9])])[0][0]
    strange = [uuid.uuid4(), uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), refused, theirs]

    recorded = send(database, deployment_id, [(one, "1") for one in [*strange, ids[0], strange[0]]])

    assert recorded.accepted == 1
    assert recorded.unknown == strange
    with database.transaction() as session:
        assert kept(session) == {ids[0]: "1"}


def test_a_repeat_changes_nothing_and_another_value_replaces(
    database: Database, deployment_id: uuid.UUID, ids: list[uuid.UUID]
) -> None:
    send(database, deployment_id, [(ids[0], "1"), (ids[1], "1")])

    repeated = send(database, deployment_id, [(ids[0], "1")])
    replaced = send(database, deployment_id, [(ids[0], "0"), (ids[1], "1"), (ids[2], "0")])

    assert (repeated.accepted, repeated.before) == (1, {})
    assert (replaced.before, replaced.after) == ({str(ids[0]): "1"}, {str(ids[0]): "0"})
    with database.transaction() as session:
        assert kept(session) == {ids[0]: "0", ids[1]: "1", ids[2]: "0"}


def test_of_several_values_in_a_call_the_last_counts(
    database: Database, deployment_id: uuid.UUID, ids: list[uuid.UUID]
) -> None:
    recorded = send(database, deployment_id, [(ids[0], "1"), (ids[0], "0"), (ids[0], "1"), (ids[0], "0")])

    assert (recorded.accepted, recorded.before) == (4, {})
    with database.transaction() as session:
        assert kept(session) == {ids[0]: "0"}


def test_calls_at_once_see_each_others_values(
    database: Database, deployment_id: uuid.UUID, ids: list[uuid.UUID]
) -> None:
    """Every value but the last one kept was seen by the call that replaced it."""
    values = [f"{place}" for place in range(12)]
    orders = [ids if place % 2 else ids[::-1] for place in range(12)]
    with ThreadPoolExecutor(6) as callers:
        calls = [
            callers.submit(send, database, deployment_id, [(inference_id, value) for inference_id in order])
            for value, order in zip(values, orders, strict=True)
        ]
        recorded = [call.result() for call in calls]

    with database.transaction() as session:
        last = kept(session)
    for inference_id in ids:
        replaced = [one.before[str(inference_id)] for one in recorded if str(inference_id) in one.before]
        assert sorted([*replaced, str(last[inference_id])]) == sorted(values)


def test_ten_thousand_values_at_once(database: Database, deployment_id: uuid.UUID) -> None:
    sent = Sent(AT, [None] * 10_000, ["1"] * 10_000, [0.9] * 10_000)
    many = log_requests(database, deployment_id, [sent])[0]

    first = send(database, deployment_id, [(one, "1") for one in many])
    second = send(database, deployment_id, [(one, "0") for one in reversed(many)])

    assert (first.accepted, len(second.before)) == (10_000, 10_000)


def test_labels_read_in_the_models_spelling(database: Database, deployment_id: uuid.UUID) -> None:
    with database.transaction() as session:
        actuals = deployment_actuals(session, deployment_id)
    assert [actuals.read(said) for said in (1, "1.0", True, 0.0, False)] == ["1", "1", "1", "0", "0"]
    with pytest.raises(ActualRefused):
        actuals.read("2")
