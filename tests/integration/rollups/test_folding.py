"""The log folded into rollups: once for what it holds, again for what changed, the same however often."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from monitoring.counts import count_window
from monitoring.store.database import Database
from monitoring.store.inference_rows import read_window
from monitoring.store.reference_profiles import deployment_profile
from monitoring.store.rollup_tables import Rollup, RollupMark, RollupProgress
from monitoring.store.rollups import Folded, add_up, fold_due, unfolded
from monitoring.store.window_counts import count_labels, count_pairs, count_requests
from monitoring.windows import Window
from tests.integration.rollups.log import add_subject, label, requests_between, store

START = datetime(2026, 3, 14, 9, 40, tzinfo=UTC)
END = datetime(2026, 3, 14, 12, 20, tzinfo=UTC)
NOW = END + timedelta(seconds=5)
EVERY = timedelta(seconds=23)
SECONDS = 600.0


@pytest.fixture
def deployment_id(database: Database) -> uuid.UUID:
    return add_subject(database)


def _fold(database: Database, now: datetime = NOW) -> Folded:
    return fold_due(database, now=now, budget_s=SECONDS)


def _slices(database: Database, minutes: int | None = None) -> dict[Any, Any]:
    """Return what the slices hold, without when they were folded."""
    with database.transaction() as session:
        rows = session.exec(select(Rollup)).all()
    found = [row.model_dump(exclude={"folded_at"}) for row in rows if minutes in (None, row.minutes)]
    return {(row["deployment_id"], row["minutes"], row["start"]): row for row in found}


def _marks(session: Session) -> int:
    return len(session.exec(select(RollupMark)).all())


def test_the_slices_of_a_window_add_up_to_its_log(database: Database, deployment_id: uuid.UUID) -> None:
    ids = store(database, deployment_id, requests_between(START, END, EVERY))
    sent = requests_between(START, END, EVERY)
    answered = [one for one, request in zip(ids, sent, strict=True) if request.status_code == 200]
    label(database, deployment_id, [row for one in answered[::3] for row in one], "yes", NOW)
    folded = _fold(database)
    assert folded.is_done
    assert folded.rows == sum(len(one) for one in ids)
    window = Window(START, END)
    with database.transaction() as session:
        profile = deployment_profile(session, deployment_id)
        of_minutes = session.exec(select(Rollup).where(Rollup.minutes == 1)).all()
        requests = count_requests(session, [deployment_id], window)[deployment_id]
        labels = count_labels(session, [deployment_id], window)[deployment_id]
        pairs = count_pairs(session, deployment_id, window, limit=10)
        assert _marks(session) == 0
        assert unfolded(session, [deployment_id], window) == 0
    sums = add_up(of_minutes, profile)
    expected = count_window(profile, read_window(database.url, deployment_id, window, profile.features))
    assert sums.counts is not None
    assert sums.counts.to_vector().tolist() == expected.to_vector().tolist()
    assert (sums.requests, sums.failed) == (requests.requests, requests.failed)
    assert sums.latency.requests == requests.requests
    assert (sums.labels.labels, sums.labels.correct) == (labels.labels, labels.correct)
    assert sums.pairs == {(pair["actual"], pair["predicted"]): pair["predictions"] for pair in pairs}
    assert sums.log_rows == sum(sums.statuses.values()) == folded.rows


def test_hours_are_the_sums_of_their_minutes_once_they_are_complete(
    database: Database, deployment_id: uuid.UUID
) -> None:
    store(database, deployment_id, requests_between(START, END, EVERY))
    _fold(database)
    with database.transaction() as session:
        profile = deployment_profile(session, deployment_id)
        rows = session.exec(select(Rollup).order_by(Rollup.start)).all()  # type: ignore[arg-type]
        assert session.exec(select(RollupProgress.folded_until)).one() == END
    hours = [row for row in rows if row.minutes == 60]
    assert [hour.start for hour in hours] == [datetime(2026, 3, 14, hour, tzinfo=UTC) for hour in (9, 10, 11)]
    for hour in hours:
        its = [row for row in rows if row.minutes == 1 and hour.start <= row.start < hour.start + timedelta(hours=1)]
        assert add_up([hour], profile) == add_up(its, profile)
