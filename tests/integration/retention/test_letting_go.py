"""Rows that go by age: whole days or some projects' rows, accounted for, never unfolded, never in anybody's way."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from monitoring.store.database import Database
from monitoring.store.ledger import first_minute, read_balance
from monitoring.store.projects import delete_project
from monitoring.store.retention import DayKept, ExpiredDay, LetGo
from tests.integration.retention.days import (
    DAY,
    NOW,
    Subject,
    find,
    fold,
    go,
    has_partition,
    one,
    removed,
    replay_marks,
)
from tests.integration.rollups.log import store
from tests.logged_requests import Sent, log_requests

TODAY = NOW.replace(hour=0, minute=0)


@pytest.fixture
def subject(database: Database) -> Subject:
    return Subject(database, days=3)


def test_a_day_goes_when_the_days_to_keep_have_passed_since_its_end(database: Database, subject: Subject) -> None:
    by_setting, for_good = Subject(database, days=None), Subject(database, days=3650)
    for one_of in (subject, by_setting, for_good):
        sent = [Sent(TODAY - timedelta(days=days)) for days in range(1, 7)]
        store(database, one_of.deployment_id, sent)

    def expired(**given: int) -> dict[date, set[uuid.UUID]]:
        return {found.day: set(found.project_ids) for found in find(database, **given)}

    theirs, ours = {by_setting.project_id}, {subject.project_id}
    days = {ago: (TODAY - timedelta(days=ago)).date() for ago in range(1, 7)}
    assert expired() == {days[6]: ours, days[5]: ours, days[4]: ours}
    assert expired(default_days=5) == {days[6]: ours | theirs, days[5]: ours, days[4]: ours}
    assert expired(default_days=1)[days[2]] == theirs
    assert days[1] not in expired(default_days=1)


def test_a_whole_day_is_dropped_and_accounted_for_and_its_rollups_stay(database: Database, subject: Subject) -> None:
    gone, kept = subject.log(DAY - timedelta(days=2)), subject.log(DAY + timedelta(days=2))
    fold(database)
    before = subject.count()
    assert before[:2] == (len(gone) + len(kept),) * 2
    (expired,) = find(database)
    assert go(database, expired) == LetGo(len(gone), is_dropped=True)
    after = subject.count()
    assert after[:2] == (len(kept), len(kept))
    assert 0 < after[2] < before[2]
    assert after[3] == before[3] == len(gone) + len(kept)
    assert removed(database) == len(gone)
    assert not has_partition(database, DAY - timedelta(days=2))
    assert find(database) == []
    assert go(database, expired) == LetGo()
    fold(database)
    assert subject.count() == after


def test_the_ledger_balances_before_and_after(database: Database, subject: Subject) -> None:
    before_the_ledger = subject.log(DAY - timedelta(days=3), hours=6)
    gone = subject.log(DAY - timedelta(days=2))
    Subject(database, days=30).log(DAY - timedelta(days=2), seed=4)
    fold(database)
    with database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO log_ledger (minute, worker_id, served, stored) SELECT minute, gen_random_uuid(),"
                " sum(row_count), sum(row_count) FROM inference_count WHERE minute >= :start GROUP BY minute"
            ),
            {"start": DAY - timedelta(days=2)},
        )
    for expired in find(database):
        go(database, expired)
    assert removed(database) == len(before_the_ledger) + len(gone)
    with database.transaction() as session:
        since = first_minute(session)
    with database.transaction() as session:
        balance = read_balance(session, DAY - timedelta(days=2, minutes=-1), NOW)
    assert since == DAY - timedelta(days=2, minutes=-1)
    assert balance.faulty == []
    assert sum(minute.account.removed for minute in balance.minutes) < removed(database)


def test_rows_of_a_project_that_keeps_them_longer_stay(database: Database, subject: Subject) -> None:
    longer = Subject(database, days=30)
    ours, theirs = subject.log(DAY - timedelta(days=5)), longer.log(DAY - timedelta(days=5), seed=4)
    fold(database)
    (expired,) = find(database)
    assert expired.project_ids == [subject.project_id]
    assert go(database, expired) == LetGo(len(ours))
    assert subject.count() == (0, 0, 0, len(ours))
    assert longer.count()[:2] == (len(theirs), len(theirs))
    assert longer.count()[2] > 0
    later = NOW + timedelta(days=30)
    (expired,) = find(database, now=later)
    assert go(database, expired, now=later) == LetGo(len(theirs), is_dropped=True)
    assert removed(database) == len(ours) + len(theirs)


def test_a_day_that_is_not_wholly_folded_stays(database: Database, subject: Subject) -> None:
    rows = subject.log(DAY - timedelta(days=2))
    (expired,) = find(database)
    with pytest.raises(DayKept, match="not folded"):
        go(database, expired)
    fold(database)
    after = subject.count()
    late = subject.log(DAY - timedelta(days=2, hours=-23), hours=0.5, seed=9)
    assert late
    with pytest.raises(DayKept, match="not folded"):
        go(database, expired)
    assert removed(database) == 0
    assert subject.count()[0] == after[0] + len(late)
    replay_marks(database)
    fold(database)
    assert go(database, expired) == LetGo(len(rows) + len(late), is_dropped=True)


def test_a_day_whose_rows_are_not_those_counted_stays(database: Database, subject: Subject) -> None:
    rows = subject.log(DAY - timedelta(days=2))
    fold(database)
    (expired,) = find(database)
    subject.miscount(rows[0])
    with pytest.raises(DayKept, match="not the rows that were counted"):
        go(database, expired)
    assert subject.count()[:2] == (len(rows) - 1, len(rows))


def test_days_to_keep_that_were_raised_meanwhile_hold(database: Database, subject: Subject) -> None:
    rows = subject.log(DAY - timedelta(days=2))
    fold(database)
    (expired,) = find(database)
    with database.transaction() as session:
        session.execute(text("UPDATE project SET log_retention_days = 300"))
    assert go(database, expired) == LetGo()
    assert subject.count()[0] == len(rows)


def test_rows_of_a_project_that_is_no_more_hold_up_nothing(database: Database, subject: Subject) -> None:
    deleted = Subject(database, days=None)
    rows = subject.log(DAY - timedelta(days=2))
    with database.transaction() as session:
        delete_project(session, deleted.project_id, force=True)
    before = removed(database)
    strays = deleted_rows(database, deleted)
    fold(database)
    (expired,) = find(database)
    assert go(database, expired) == LetGo(len(rows) + strays, is_dropped=True)
    assert removed(database) == before + len(rows) + strays
    assert deleted.count()[:2] == (0, 0)


def deleted_rows(database: Database, deleted: Subject) -> int:
    """Copy a request's rows to a deployment that is no more, as a writer may that had them in hand."""
    with database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO inference_log (deployment_id, created_at, id, request_id, status_code, latency_ms) "
                "SELECT :theirs, created_at, id, request_id, status_code, latency_ms FROM inference_log LIMIT 2"
            ),
            {"theirs": deleted.deployment_id},
        )
    return 2


def test_an_empty_day_loses_its_partition(database: Database, subject: Subject) -> None:
    subject.log(DAY - timedelta(days=5), hours=2)
    with database.transaction() as session:
        session.execute(text("DELETE FROM inference_log"))
        session.execute(text("DELETE FROM inference_count"))
    assert find(database) == [ExpiredDay((DAY - timedelta(days=5)).date())]
    assert go(database, find(database)[0]) == LetGo(0, is_dropped=True)
    assert not has_partition(database, DAY - timedelta(days=5))


def test_dropping_waits_for_a_long_read_and_nobody_waits_behind_it(database: Database, subject: Subject) -> None:
    rows = subject.log(DAY - timedelta(days=2))
    log_requests(database, subject.deployment_id, [Sent(NOW)])
    fold(database)
    (expired,) = find(database)
    with database.engine.connect() as reader, ThreadPoolExecutor(1) as thread:
        reader.execute(text("SELECT count(*) FROM inference_log"))
        dropping = thread.submit(go, database, expired)
        while not one(database, "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"):
            assert not dropping.done()
        log_requests(database, subject.deployment_id, [Sent(NOW)])  # queues behind the drop, and comes through
        assert not dropping.done()
        reader.rollback()
        assert dropping.result(timeout=60) == LetGo(len(rows), is_dropped=True)


def test_two_at_once_let_a_day_go_once(database: Database, subject: Subject) -> None:
    rows = subject.log(DAY - timedelta(days=2))
    fold(database)
    (expired,) = find(database)
    with ThreadPoolExecutor(2) as threads:
        ended = [one.result() for one in [threads.submit(go, database, expired) for _ in range(2)]]
    assert sorted(one.rows for one in ended) == [0, len(rows)]
    assert removed(database) == len(rows)
