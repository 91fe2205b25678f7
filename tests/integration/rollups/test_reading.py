"""What is measured out of the rollups is what the log's rows say, wherever folding has come to."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from sqlalchemy import event, text

from monitoring.counts import WindowCounts
from monitoring.readings import Wanted, WindowReadings
from monitoring.rules import Metric
from monitoring.store import few_rows as few_rows_module
from monitoring.store.database import Database
from monitoring.store.log_counting import Pass, Uncounted, count_passes
from monitoring.store.performance import Performance, read_performance
from monitoring.store.readings import measure
from monitoring.store.reference_profiles import deployment_profile
from monitoring.store.rollups import fold_due
from monitoring.store.window_sample import read_window_sample, sampled_stretches
from monitoring.windows import Window, trailing_window
from tests.integration.rollups.log import add_subject, label, requests_between, store

ALL: frozenset[Metric] = frozenset(get_args(Metric))
START = datetime(2026, 3, 14, 9, 40, tzinfo=UTC)
END = datetime(2026, 3, 14, 12, 20, tzinfo=UTC)
NOW = END + timedelta(seconds=17)
WINDOWS = [1, 7, 41, 100, 160]


@pytest.fixture
def deployment_id(database: Database) -> uuid.UUID:
    return add_subject(database)


def fold(database: Database, now: datetime = NOW) -> None:
    assert fold_due(database, now=now, budget_s=600).is_done


def read(database: Database, deployment_id: uuid.UUID, now: datetime = NOW) -> dict[int, WindowReadings]:
    wanted = [Wanted(deployment_id, minutes, ALL) for minutes in WINDOWS]
    return {minutes: readings for (_, minutes), readings in measure(database, wanted, now).items()}


def performance(database: Database, deployment_id: uuid.UUID, window: Window) -> Performance:
    with database.transaction() as session:
        return read_performance(session, deployment_id, window)


def figures(readings: dict[int, WindowReadings]) -> dict[int, object]:
    """All that a window's metrics are made of; counts as numbers, which numpy's arrays do not compare as."""
    return {
        minutes: (
            one.requests,
            one.labels,
            one.feature_psi(),
            {metric: one.read(metric) for metric in ALL},
        )
        for minutes, one in readings.items()
    }


def test_every_window_reads_the_same_wherever_folding_has_come_to(
    database: Database, deployment_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = store(database, deployment_id, requests_between(START, END, timedelta(seconds=11)))
    sent = requests_between(START, END, timedelta(seconds=11))
    answered = [one for one, request in zip(ids, sent, strict=True) if request.status_code == 200]
    label(database, deployment_id, [row for one in answered[::3] for row in one], "yes", NOW)
    raw = figures(read(database, deployment_id))
    window = Window(START + timedelta(seconds=30), NOW)
    labelled = performance(database, deployment_id, window)
    for folded_at, few_rows in ((START + timedelta(minutes=90, seconds=30), 2_000), (NOW, -1), (NOW, 2_000)):
        monkeypatch.setattr(few_rows_module, "FEW_ROWS", few_rows)
        fold(database, folded_at)
        assert figures(read(database, deployment_id)) == raw
        assert performance(database, deployment_id, window) == labelled
    assert labelled.labelled.labels > 600


def test_what_is_not_folded_is_read_though_progress_says_it_is(database: Database, deployment_id: uuid.UUID) -> None:
    store(database, deployment_id, requests_between(START, END, timedelta(seconds=11)))
    raw = figures(read(database, deployment_id))
    fold(database, NOW - timedelta(minutes=30))
    with database.transaction() as session:  # as a clock that was ahead leaves it
        session.execute(text("UPDATE rollup_progress SET folded_until = :ahead"), {"ahead": NOW + timedelta(days=1)})
    assert figures(read(database, deployment_id)) == raw


def test_a_window_needs_the_log_for_its_ends_only(database: Database, deployment_id: uuid.UUID) -> None:
    store(database, deployment_id, requests_between(START, END, timedelta(seconds=11)))
    before = read(database, deployment_id)[100]
    fold(database)
    with database.transaction() as session:
        gone = {"start": NOW - timedelta(minutes=99), "end": END}
        session.execute(text("DELETE FROM inference_log WHERE created_at >= :start AND created_at < :end"), gone)
    assert figures({100: read(database, deployment_id)[100]}) == figures({100: before})


def test_late_feedback_counts_before_it_is_folded_and_after(database: Database, deployment_id: uuid.UUID) -> None:
    ids = store(database, deployment_id, requests_between(START, END, timedelta(seconds=11)))
    sent = requests_between(START, END, timedelta(seconds=11))
    answered = [one for one, request in zip(ids, sent, strict=True) if request.status_code == 200]
    label(database, deployment_id, answered[0], "yes", NOW)
    fold(database)
    window = Window(START, NOW)
    for late, actual in ((answered[40], "no"), (answered[0], "no"), (answered[200], "yes")):
        label(database, deployment_id, late, actual, NOW)
    marked = performance(database, deployment_id, window)
    fold(database)
    folded = performance(database, deployment_id, window)
    assert marked == folded
    assert folded.labelled.labels == len(answered[0]) + len(answered[40]) + len(answered[200])
    assert folded.pairs is not None
    assert {pair.actual for pair in folded.pairs} == {"no", "yes"}
    assert sum(pair.predictions for pair in folded.pairs) == folded.labelled.labels


def test_statements_do_not_grow_with_deployments_nor_with_slices(database: Database, deployment_id: uuid.UUID) -> None:
    others = [add_subject(database) for _ in range(3)]
    for one in (deployment_id, *others):
        store(database, one, requests_between(START, END, timedelta(seconds=50)))
    fold(database)
    sent: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", listen)
    measure(database, [Wanted(deployment_id, 5, ALL)], NOW)
    of_one = len(sent)
    measure(database, [Wanted(one, 160, ALL) for one in (deployment_id, *others)] * 20, NOW)
    event.remove(database.engine, "before_cursor_execute", listen)
    assert len(sent) == 2 * of_one <= 2 * 16


def test_slices_of_another_profile_fail_their_own_readings(database: Database, deployment_id: uuid.UUID) -> None:
    other = add_subject(database)
    for one in (deployment_id, other):
        store(database, one, requests_between(START, END, timedelta(seconds=50)))
    fold(database)
    with database.transaction() as session:
        profile = deployment_profile(session, deployment_id)
    fewer = replace(profile, features=profile.features[:2])
    passes = [
        Pass(deployment_id, trailing_window(NOW, 60), fewer, True),
        Pass(other, trailing_window(NOW, 60), profile, True),
    ]
    failed, counted = count_passes(database, passes, statement_timeout_s=30)
    assert isinstance(failed, Uncounted)
    assert "not of this profile" in failed.why
    assert isinstance(counted, WindowCounts)


def test_a_sample_is_drawn_from_all_of_the_window_while_its_rows_are_there(
    database: Database, deployment_id: uuid.UUID
) -> None:
    store(database, deployment_id, requests_between(START, END, timedelta(seconds=11)))
    window = Window(START + timedelta(seconds=20), NOW)
    with database.transaction() as session:
        profile = deployment_profile(session, deployment_id)
        every = sampled_stretches(session, deployment_id, window)
        some = sampled_stretches(session, deployment_id, window, rows=200)
    assert every == [Window(window.start, END)]
    assert len(some) > 10
    assert some[0].start < START + timedelta(minutes=20)
    assert some[-1].end > END - timedelta(minutes=20)
    whole = read_window_sample(database.url, deployment_id, every, profile)
    part = read_window_sample(database.url, deployment_id, some, profile)
    assert whole is not None
    assert part is not None
    assert 0 < part.height < 600 < whole.height
    with database.transaction() as session:
        session.execute(text("DELETE FROM inference_count"))
        assert sampled_stretches(session, deployment_id, window) == []
    assert read_window_sample(database.url, deployment_id, [], profile) is None
