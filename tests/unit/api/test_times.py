"""Times that callers give."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import Invalid
from api.schemas.common import in_utc

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=OFFSETS))  # noqa: DTZ001
def test_the_instant_stays_the_same(time: datetime) -> None:
    made = in_utc(time, "t")
    assert made == time
    assert made is not None
    assert made.tzinfo is UTC


def test_none_stays_none() -> None:
    assert in_utc(None, "t") is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_what_utc_has_no_year_for_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="years"):
        in_utc(datetime.fromisoformat(text), "t")
