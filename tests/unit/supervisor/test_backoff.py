"""What happens when a part ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.supervisor.backoff import LONGEST_DELAY_S, START_ATTEMPTS, STEADY_S, GiveUp, Restart, after_exit, describe_exit


def test_a_part_that_never_worked_is_given_up() -> None:
    failures = 0
    for _ in range(START_ATTEMPTS - 1):
        decision = after_exit(failures=failures, was_ever_ready=False, ready_for_s=0)
        assert isinstance(decision, Restart)
        failures = decision.failures
    assert after_exit(failures=failures, was_ever_ready=False, ready_for_s=0) == GiveUp(START_ATTEMPTS)


def test_pauses_double_up_to_the_cap() -> None:
    delays, failures = [], 0
    for _ in range(9):
        decision = after_exit(failures=failures, was_ever_ready=True, ready_for_s=1)
        assert isinstance(decision, Restart)
        delays.append(decision.delay_s)
        failures = decision.failures
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@given(failures=st.integers(0, 10_000), ready_for_s=st.floats(0, 1e6))
def test_a_part_that_worked_is_tried_for_ever(failures: int, ready_for_s: float) -> None:
    decision = after_exit(failures=failures, was_ever_ready=True, ready_for_s=ready_for_s)
    assert isinstance(decision, Restart)
    assert 0 < decision.delay_s <= LONGEST_DELAY_S
    assert decision.failures == (1 if ready_for_s >= STEADY_S else failures + 1)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "exited with code 0"),
        (3, "exited with code 3"),
        (-9, "was killed by SIGKILL"),
        (-90, "was killed by signal 90"),
    ],
)
def test_exits_are_named(code: int, said: str) -> None:
    assert describe_exit(code) == said
