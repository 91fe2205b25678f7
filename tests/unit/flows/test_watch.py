"""The pure decisions of the watch's flow: which late runs add nothing, and its words."""

from datetime import UTC, datetime, timedelta

import pytest

from flows.delivering import say
from flows.sending import Sent
from flows.watch import describe, is_covered, summarize

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("late_s", "last_s", "covered"),
    [(5, 2, False), (3600, 2, True), (3600, 29, True), (3600, 31, False), (3600, 3600, False), (3600, -2, True)],
)
def test_a_late_run_gives_way_to_an_evaluation_just_before(late_s: int, last_s: int, covered: bool) -> None:
    assert is_covered(NOW - late_s * SECOND, NOW, NOW - last_s * SECOND) is covered


def test_the_first_late_run_and_one_started_by_hand_evaluate() -> None:
    assert not is_covered(NOW - timedelta(hours=1), NOW, None)
    assert not is_covered(None, NOW, NOW)


@pytest.mark.parametrize(("due_s", "is_due"), [(None, False), (-5, True), (20, True), (21, False)])
def test_what_is_due_soon_is_sent_in_the_same_run(due_s: int | None, is_due: bool) -> None:
    due = None if due_s is None else NOW + due_s * SECOND
    assert summarize([], now=NOW, due=due, covered=False).is_due is is_due


def test_what_a_run_says() -> None:
    assert describe(summarize([], now=NOW, due=None, covered=False)) == "no rule to evaluate"
    assert describe(summarize([], now=NOW, due=None, covered=True)) == "late; another run has just evaluated"
    assert say(Sent(12, 1, 0, None, NOW)) == "12 sent, 1 to be tried again, 0 failed"
