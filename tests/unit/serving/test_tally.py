"""What a process remembers of its rows by the minute has an end, however long it runs."""

import time
import uuid

import pytest

from api.inference_log.tally import Tally


def test_minutes_that_are_told_are_let_go_after_a_day_or_so(monkeypatch: pytest.MonkeyPatch) -> None:
    tally, began = Tally(uuid.uuid4()), time.monotonic()
    for minute in range(3 * 24 * 60):
        monkeypatch.setattr(time, "monotonic", lambda now=began + 60 * minute: now)
        tally.serve(minute, 1)
        tally.take_changed()
    assert 24 * 60 < len(tally) < 27 * 60


def test_minutes_that_are_not_told_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    tally, began = Tally(uuid.uuid4()), time.monotonic()
    tally.refuse(0, 5)
    tally.serve(1, 5)
    tally.doubt(1, 5)
    monkeypatch.setattr(time, "monotonic", lambda: began + 60 * 60 * 24 * 9)
    tally.serve(2, 1)
    assert b",0,0,5,0,0)" in tally.statement({0}, {})
    tally.resolve(1, 5, stored=True)
    assert b",5,0,0,5,5,0)" in tally.statement({1}, {})
