"""Claims on Idempotency-Keys: once, whoever races, dies or comes late."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from monitoring.store.database import Database
from monitoring.store.errors import Conflict
from monitoring.store.idempotency import (
    ABANDONED_AFTER,
    REMEMBERED_FOR,
    Attempt,
    GivenAnswer,
    begin,
    keep,
    release,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def attempt(now: datetime = NOW, request: bytes = b"request", caller: str = "caller") -> Attempt:
    return Attempt(api_key_id=caller, key="key", request_sha256=request, started_at=now)


def claim(database: Database, tried: Attempt) -> GivenAnswer | None:
    with database.transaction() as session:
        return begin(session, tried)


def answer(database: Database, tried: Attempt, text: bytes) -> None:
    with database.transaction() as session:
        keep(session, tried, GivenAnswer(201, text))


def test_the_first_answer_is_given_for_a_day(database: Database) -> None:
    assert claim(database, attempt()) is None
    answer(database, attempt(), b"first")
    assert claim(database, attempt(NOW + REMEMBERED_FOR)) == GivenAnswer(201, b"first")
    assert claim(database, attempt(NOW + REMEMBERED_FOR + timedelta(seconds=1))) is None


def test_another_request_or_a_running_one_is_a_conflict(database: Database) -> None:
    claim(database, attempt())
    with pytest.raises(Conflict, match="still running"):
        claim(database, attempt(NOW + timedelta(seconds=1)))
    with pytest.raises(Conflict, match="another request"):
        claim(database, attempt(NOW + timedelta(seconds=1), request=b"other"))
    assert claim(database, attempt(caller="somebody else")) is None


def test_a_released_key_is_free_again(database: Database) -> None:
    claim(database, attempt())
    with database.transaction() as session:
        release(session, attempt())
    assert claim(database, attempt(NOW + timedelta(seconds=1))) is None


def test_a_dead_claim_is_taken_over_and_its_late_holder_is_refused(database: Database) -> None:
    late = attempt()
    claim(database, late)
    heir = attempt(NOW + ABANDONED_AFTER)
    assert claim(database, heir) is None
    with pytest.raises(Conflict, match="took its place"):
        answer(database, late, b"late")
    with database.transaction() as session:
        release(session, late)  # takes nothing from the heir
    answer(database, heir, b"heir's")
    assert claim(database, attempt(NOW + ABANDONED_AFTER)) == GivenAnswer(201, b"heir's")


def test_an_answer_is_kept_with_its_change_or_not_at_all(database: Database) -> None:
    claim(database, attempt())
    with database.transaction() as session:
        keep(session, attempt(), GivenAnswer(201, b"never"))
        session.rollback()  # as when the change fails after the answer was noted
    with pytest.raises(Conflict, match="still running"):
        claim(database, attempt(NOW + timedelta(seconds=1)))


def test_of_many_at_once_one_works(database: Database) -> None:
    outcomes: list[str] = []
    together = threading.Barrier(8)

    def run(number: int) -> None:
        together.wait()
        try:
            given = claim(database, attempt(NOW + timedelta(microseconds=number)))
            outcomes.append("works" if given is None else "answered")
        except Conflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["works"]
