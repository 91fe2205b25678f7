"""When a delivery is tried again."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.retrying import RETRY_HORIZON, next_attempt

NOW = datetime(2026, 3, 14, 15, 9, tzinfo=UTC)


def wait_s(attempt: int, *, left: timedelta = RETRY_HORIZON, **changes: Any) -> float | None:
    asked = {"retry_after_s": None, "jitter": 0.0, **changes}
    when = next_attempt(attempt=attempt, now=NOW, give_up_at=NOW + left, **asked)
    return None if when is None else (when - NOW).total_seconds()


def test_waits_double_up_to_a_quarter_of_an_hour() -> None:
    assert [wait_s(attempt) for attempt in range(1, 11)] == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert wait_s(32_767) == 900


def test_deliveries_that_failed_together_spread() -> None:
    assert wait_s(1, jitter=0.5) == 5.625
    assert wait_s(9, jitter=0.999) == pytest.approx(1124.775)


def test_the_receiver_may_ask_for_longer_but_not_for_shorter() -> None:
    assert wait_s(1, retry_after_s=120) == 120
    assert wait_s(9, retry_after_s=120) == 900
    assert wait_s(1, retry_after_s=-7) == 5


def test_it_gives_up_at_its_time() -> None:
    assert wait_s(3, left=timedelta(seconds=20)) == 20
    assert wait_s(3, left=timedelta(seconds=19.9)) is None
    assert wait_s(1, left=timedelta(seconds=-1)) is None


@pytest.mark.parametrize("absurd", [86_401, 1e300, math.inf])
def test_a_receiver_that_wants_to_be_left_alone_for_longer_is(absurd: float) -> None:
    assert wait_s(1, retry_after_s=absurd) is None


def test_a_nonsensical_wish_is_no_wish() -> None:
    assert wait_s(1, retry_after_s=math.nan) == 5


@given(
    attempt=st.integers(1, 32_767),
    left_s=st.floats(-10, 1e5),
    retry_after_s=st.none() | st.floats(allow_nan=False),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_never_at_once_never_too_early_never_too_late(
    attempt: int, left_s: float, retry_after_s: float | None, jitter: float
) -> None:
    left = timedelta(seconds=left_s)
    wait = wait_s(attempt, left=left, retry_after_s=retry_after_s, jitter=jitter)
    asked = retry_after_s or 0.0
    if wait is None:
        assert max(1125.0, asked) > left.total_seconds()
    else:
        assert wait >= 5
        assert wait >= asked - 1e-6  # a datetime holds whole microseconds
        assert wait <= left.total_seconds() + 1e-6
