"""Windows of time."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from monitoring.windows import MAX_WINDOW_MINUTES, Window, trailing_window

NOW = datetime(2026, 3, 14, 15, 9, tzinfo=UTC)


def test_a_trailing_window_ends_now_in_utc() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5)))
    window = trailing_window(elsewhere, 60)
    assert window == Window(NOW - timedelta(hours=1), NOW)
    assert window.end.tzinfo is UTC


@pytest.mark.parametrize("minutes", [0, -1, MAX_WINDOW_MINUTES + 1])
def test_its_length_is_bounded(minutes: int) -> None:
    with pytest.raises(ValueError, match="minutes"):
        trailing_window(NOW, minutes)


def test_naive_or_backward_times_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        trailing_window(datetime(2026, 1, 1), 5)  # noqa: DTZ001 - the case
    with pytest.raises(ValueError, match="aware"):
        Window(datetime(2026, 1, 1), NOW)  # noqa: DTZ001 - the case
    with pytest.raises(ValueError, match="after it starts"):
        Window(NOW, NOW)
