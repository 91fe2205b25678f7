"""A time range is cut at whole minutes without losing or doubling an instant."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from monitoring.store.inference_logs import cut_at_minutes

START = datetime(2020, 1, 1, tzinfo=UTC)
instants = st.timedeltas(min_value=timedelta(0), max_value=timedelta(minutes=5)).map(lambda passed: START + passed)


@given(st.none() | instants, st.none() | instants, instants)
def test_an_instant_lies_in_exactly_one_part_or_outside(
    since: datetime | None, until: datetime | None, instant: datetime
) -> None:
    ends = cut_at_minutes(since, until)
    holding = [part for part in (ends.newest, ends.minutes, ends.oldest) if part[0] <= instant < part[1]]
    inside = (since is None or instant > since) and (until is None or instant < until)
    assert len(holding) == inside


@given(st.none() | instants, st.none() | instants)
def test_the_middle_is_whole_minutes_and_the_ends_are_shorter(since: datetime | None, until: datetime | None) -> None:
    ends = cut_at_minutes(since, until)
    if ends.minutes[0] < ends.minutes[1]:
        assert all(bound.second == 0 and bound.microsecond == 0 for bound in ends.minutes)
    for start, end in (ends.newest, ends.oldest):
        assert timedelta(0) <= end - start < timedelta(minutes=1)


def test_other_time_zones_are_the_same_instants() -> None:
    utc = datetime(2020, 1, 1, 0, 3, 20, tzinfo=UTC)
    assert cut_at_minutes(utc, None) == cut_at_minutes(utc.astimezone(timezone(timedelta(hours=5, minutes=45))), None)


def test_the_ends_of_time_are_no_error() -> None:
    latest, earliest = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
    assert cut_at_minutes(latest, latest).newest[0] == cut_at_minutes(latest, latest).newest[1]
    assert cut_at_minutes(earliest, latest).minutes == cut_at_minutes(None, None).minutes
