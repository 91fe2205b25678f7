"""The log folded into rollups: once for what it holds, again for what changed, the same however often."""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError
from sqlmodel import Session, col, select

from monitoring.counts import count_window
from monitoring.latency import LatencyHistogram
from monitoring.slices import Sums
from monitoring.store.database import Database
from monitoring.store.inference_rows import read_window
from monitoring.store.reference_profiles import deployment_profile
from monitoring.store.rollup_due import Bounds
from monitoring.store.rollup_tables import Rollup, RollupMark, RollupProgress
from monitoring.store.rollups import Folded, add_up, fold_due, rebuild, unfolded
from monitoring.windows import Window
from tests.integration.rollups.log import add_subject, label, requests_between, store

START = datetime(2026, 3, 14, 9, 40, tzinfo=UTC)
END = datetime(2026, 3, 14, 12, 20, tzinfo=UTC)
NOW = END + timedelta(seconds=5)
EVERY = timedelta(seconds=37)
DAY = Window(datetime(2026, 3, 14, tzinfo=UTC), datetime(2026, 3, 15, tzinfo=UTC))
SMALL = Bounds(rows=100, minutes=25)


@pytest.fixture
def deployment_id(database: Database) -> uuid.UUID:
    return add_subject(database)


def fold(database: Database, now: datetime = NOW, bounds: Bounds | None = None) -> Folded:
    return fold_due(database, now=now, budget_s=600, bounds=bounds)


def slices(database: Database) -> dict[Any, dict[str, Any]]:
    """Return what the slices hold, by deployment, length and start."""
    with database.transaction() as session:
        rows = session.exec(select(Rollup)).all()
    return {(row.deployment_id, row.minutes, row.start): row.model_dump(exclude={"folded_at"}) for row in rows}


def read_sums(database: Database, deployment_id: uuid.UUID, minutes: int, window: Window) -> Sums:
    with database.transaction() as session:
        statement = select(Rollup).where(Rollup.deployment_id == deployment_id, Rollup.minutes == minutes)
        found = session.exec(statement.where(col(Rollup.start) >= window.start, col(Rollup.start) < window.end)).all()
        return add_up(found, deployment_profile(session, deployment_id))


def mark(database: Database, deployment_id: uuid.UUID, minute: datetime) -> None:
    with database.transaction() as session:
        session.add(RollupMark(deployment_id=deployment_id, minute=minute))


def marks(database: Database) -> int:
    with database.transaction() as session:
        return len(session.exec(select(RollupMark)).all())


def missing(session: Session, deployment_id: uuid.UUID) -> int:
    return unfolded(session, [deployment_id], DAY)


def test_the_slices_add_up_to_the_log(database: Database, deployment_id: uuid.UUID) -> None:
    sent = requests_between(START, END, EVERY)
    ids = store(database, deployment_id, sent)
    answered = [(one, its) for one, its in zip(sent, ids, strict=True) if one.status_code == 200][::3]
    label(database, deployment_id, [row for _, its in answered for row in its], "yes", NOW)
    with database.transaction() as session:
        assert missing(session, deployment_id) > 0
    rows = sum(len(its) for its in ids)
    assert fold(database) == Folded(len({one.at.replace(second=0) for one in sent}), rows)

    sums = read_sums(database, deployment_id, 1, DAY)
    with database.transaction() as session:
        assert missing(session, deployment_id) == 0
        profile = deployment_profile(session, deployment_id)
    expected = count_window(profile, read_window(database.url, deployment_id, DAY, profile.features))
    assert sums.counts is not None
    assert sums.counts.to_vector().tolist() == expected.to_vector().tolist()
    assert sums.log_rows == rows
    assert sums.statuses == Counter(one.status_code for one in sent for _ in one.inputs)
    assert (sums.requests, sums.failed) == (len(sent), sum(one.status_code >= 400 for one in sent))
    assert sums.latency == LatencyHistogram.of(one.latency_ms for one in sent)
    predicted = Counter(label for one, _ in answered for label in one.predictions or ())
    assert sums.pairs == {("yes", label): many for label, many in predicted.items()}
    assert (sums.labels.labels, sums.labels.correct) == (predicted.total(), predicted["yes"])


def test_hours_are_the_sums_of_their_minutes_once_they_are_complete(
    database: Database, deployment_id: uuid.UUID
) -> None:
    sent = requests_between(START, END, EVERY)
    store(database, deployment_id, sent)
    fold(database, now=datetime(2026, 3, 14, 10, 30, tzinfo=UTC), bounds=SMALL)
    assert [start.hour for _, minutes, start in slices(database) if minutes == 60] == [9]
    fold(database, bounds=SMALL)
    with database.transaction() as session:
        assert session.exec(select(RollupProgress.folded_until)).one() == END
    hours = sorted(start for _, minutes, start in slices(database) if minutes == 60)
    assert [hour.hour for hour in hours] == [9, 10, 11]
    for hour in hours:
        its = Window(hour, hour + timedelta(hours=1))
        assert_same(read_sums(database, deployment_id, 60, its), read_sums(database, deployment_id, 1, its))


def assert_same(found: Sums, expected: Sums) -> None:
    assert found.counts is not None
    assert expected.counts is not None
    assert found.counts.to_vector().tolist() == expected.counts.to_vector().tolist()
    for name in ("log_rows", "statuses", "requests", "failed", "latency", "labels", "pairs"):
        assert getattr(found, name) == getattr(expected, name), name


def test_an_open_minute_waits_until_two_seconds_after_its_end(database: Database, deployment_id: uuid.UUID) -> None:
    store(database, deployment_id, requests_between(START, START + timedelta(seconds=59), timedelta(seconds=10)))
    closing = START + timedelta(minutes=1, seconds=2)
    assert fold(database, now=closing - timedelta(microseconds=1)) == Folded()
    assert fold(database, now=closing).slices == 1
    assert fold(database, now=closing) == Folded()


def test_rebuilding_gives_the_same(database: Database, deployment_id: uuid.UUID) -> None:
    ids = store(database, deployment_id, requests_between(START, END, EVERY))
    label(database, deployment_id, ids[0][:1], "no", NOW)
    fold(database, bounds=SMALL)
    before = slices(database)
    with database.transaction() as session:
        session.execute(text("UPDATE rollup SET requests = 1, labels = 7, latency = '', log_rows = 1, counts = NULL"))
    assert rebuild(database, deployment_id, DAY, now=NOW).rows == sum(len(its) for its in ids)
    assert slices(database) == before


def test_late_rows_are_found_by_comparing_and_older_ones_by_their_mark(
    database: Database, deployment_id: uuid.UUID
) -> None:
    store(database, deployment_id, requests_between(START, END, EVERY))
    fold(database)
    late = requests_between(END - timedelta(minutes=30), END, timedelta(minutes=7), seed=5)
    store(database, deployment_id, late)
    assert fold(database).slices == len(late)
    assert fold(database) == Folded()
    older = requests_between(START, START + timedelta(minutes=2), timedelta(minutes=1), seed=6)
    store(database, deployment_id, older)
    for one in older:
        mark(database, deployment_id, one.at)
    assert fold(database).slices == len(older)
    assert marks(database) == 0
    after = slices(database)
    rebuild(database, deployment_id, DAY, now=NOW)
    assert slices(database) == after
    with database.transaction() as session:
        assert missing(session, deployment_id) == 0
    store(database, deployment_id, requests_between(END - EVERY, END, EVERY, seed=9))
    assert fold(database, now=NOW + timedelta(days=8)) == Folded()  # idle for so long: nothing is looked at
    assert fold(database, now=NOW + timedelta(days=6)).slices == 1


def test_late_feedback_corrects_its_minute_and_hour(database: Database, deployment_id: uuid.UUID) -> None:
    sent = requests_between(START, END, EVERY)
    ids = store(database, deployment_id, sent)
    fold(database)
    place = next(place for place, one in enumerate(sent) if one.status_code == 200)
    one, said = ids[place][0], (sent[place].predictions or ())[0]
    other = "no" if said == "yes" else "yes"
    for actual, correct in ((other, 0), (said, 1)):
        label(database, deployment_id, [one], actual, NOW)
        assert fold(database).slices == 1
        for minutes in (1, 60):
            sums = read_sums(database, deployment_id, minutes, DAY)
            assert (sums.labels.labels, sums.labels.correct) == (1, correct)
            assert sums.pairs == {(actual, said): 1}
    label(database, deployment_id, [one], said, NOW)
    assert marks(database) == 0  # it said nothing new


def test_a_fold_that_breaks_leaves_nothing_half_done(database: Database, deployment_id: uuid.UUID) -> None:
    store(database, deployment_id, requests_between(START, END, EVERY))
    mark(database, deployment_id, START)
    with database.transaction() as session:
        session.execute(
            text(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "IF NEW.folded_until > '2026-03-14 10:40+00' THEN RAISE 'no further' USING ERRCODE = 'XX000'; END IF; "
                "RETURN NEW; END $$; CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON rollup_progress "
                "FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )
    with pytest.raises(InternalError, match="no further"):
        fold(database, bounds=SMALL)
    with database.transaction() as session:
        until = session.exec(select(RollupProgress.folded_until)).one()
        session.execute(text("DROP FUNCTION refuse CASCADE"))
    broken = slices(database)
    assert START < until <= datetime(2026, 3, 14, 10, 40, tzinfo=UTC)
    assert max(start for _, minutes, start in broken if minutes == 1) < until
    fold(database, bounds=SMALL)
    found = slices(database)
    assert len(found) > len(broken)
    rebuild(database, deployment_id, DAY, now=NOW)
    assert slices(database) == found


def test_two_at_once_fold_each_minute_once(database: Database, deployment_id: uuid.UUID) -> None:
    ids = store(database, deployment_id, requests_between(START, END, EVERY))

    def work(_: int) -> Folded:
        return fold_due(database, now=NOW, budget_s=600, wait=True, bounds=SMALL)

    with ThreadPoolExecutor(3) as pool:
        folded = list(pool.map(work, range(3)))
    assert sum(one.rows for one in folded) == sum(len(its) for its in ids)
    assert all(one.is_done for one in folded)
    with database.transaction() as session:
        assert missing(session, deployment_id) == 0
        session.execute(text("SELECT pg_advisory_xact_lock(7415066213)"))
        mark(database, deployment_id, START)
        assert fold(database) == Folded()  # another is at it
    assert fold(database).slices == 1


def test_a_slice_whose_rows_went_by_age_stays(database: Database, deployment_id: uuid.UUID) -> None:
    store(database, deployment_id, requests_between(START, END, EVERY))
    fold(database)
    before = slices(database)
    with database.transaction() as session:
        session.execute(text("DELETE FROM inference_log; DELETE FROM inference_count"))
    mark(database, deployment_id, START)
    assert fold(database) == Folded()
    assert marks(database) == 0
    store(database, deployment_id, requests_between(START, START + EVERY, EVERY, seed=8))  # a replay, days late
    mark(database, deployment_id, START)
    fold(database)
    rebuild(database, deployment_id, DAY, now=NOW)
    assert slices(database) == before


def test_after_35_days_only_hours_are_kept_and_late_feedback_still_counts(
    database: Database, deployment_id: uuid.UUID
) -> None:
    sent = requests_between(START, END, EVERY)
    ids = store(database, deployment_id, sent)
    fold(database)
    before = read_sums(database, deployment_id, 60, DAY)
    later = datetime(2026, 5, 1, 12, tzinfo=UTC)
    store(database, deployment_id, requests_between(later, later + timedelta(hours=1, minutes=2), timedelta(minutes=5)))
    then = later + timedelta(hours=2)
    fold(database, now=then)
    kept = [start for _, minutes, start in slices(database) if minutes == 1 and start < DAY.end]
    assert kept == []
    assert_same(read_sums(database, deployment_id, 60, Window(DAY.start, END - timedelta(minutes=20))), before)
    place = next(place for place, one in enumerate(sent) if one.status_code == 200)
    label(database, deployment_id, ids[place][:1], "yes", then)
    assert fold(database, now=then).is_done
    after = read_sums(database, deployment_id, 60, DAY)
    assert after.labels.labels == 1
    assert after.log_rows == sum(len(its) for its in ids)
    assert fold(database, now=then) == Folded()
    with database.transaction() as session:
        assert missing(session, deployment_id) == 0


def test_rows_that_cannot_be_counted_hold_up_no_other_deployment(database: Database, deployment_id: uuid.UUID) -> None:
    other = add_subject(database)
    for one in (deployment_id, other):
        store(database, one, requests_between(START, END, EVERY))
    with database.transaction() as session:
        spoil = (
            "UPDATE reference_profile SET profile = jsonb_set(profile, '{version}', '99') "
            "WHERE model_id = (SELECT model_id FROM deployment WHERE id = :id)"
        )
        session.execute(text(spoil), {"id": deployment_id})
    folded = fold(database, bounds=SMALL)
    assert folded.failed == (deployment_id,)
    assert folded.is_done
    with database.transaction() as session:
        assert missing(session, other) == 0
        assert missing(session, deployment_id) > 0


def test_a_clock_that_was_ahead_leaves_no_gap(database: Database, deployment_id: uuid.UUID) -> None:
    ahead = START + timedelta(days=3)
    store(database, deployment_id, requests_between(ahead, ahead + timedelta(minutes=2), EVERY))
    fold(database, now=ahead + timedelta(minutes=5))
    store(database, deployment_id, requests_between(END - timedelta(minutes=90), END, EVERY))
    fold(database)
    with database.transaction() as session:
        assert missing(session, deployment_id) == 0


def test_marks_of_a_deleted_deployment_go(database: Database) -> None:
    mark(database, uuid.uuid4(), START)
    assert fold(database) == Folded()
    assert marks(database) == 0
