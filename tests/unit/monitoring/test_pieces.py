"""A window's pieces cover it once, whatever is folded; a spread of minutes holds what it says."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitoring.pieces import HOUR, MINUTE, Pieces, split, spread
from monitoring.windows import Window

DAY = datetime(2026, 3, 14, tzinfo=UTC)
instants = st.timedeltas(timedelta(0), timedelta(hours=30)).map(lambda after: DAY + after)
minutes = st.integers(0, 30 * 60).map(lambda after: DAY + after * MINUTE)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    start, end = sorted(draw(st.sets(instants, min_size=2, max_size=2)))
    return Window(start, end)


@given(windows(), st.none() | minutes, st.sets(minutes, max_size=8))
def test_the_pieces_are_the_window_and_only_folded_minutes_are_slices(
    window: Window, folded_until: datetime | None, marked: set[datetime]
) -> None:
    pieces = split(window, folded_until, marked)
    every = sorted([*pieces.hours, *pieces.minutes, *pieces.raw], key=lambda one: one.start)
    assert every[0].start == window.start
    assert every[-1].end == window.end
    assert all(one.end == other.start for one, other in itertools.pairwise(every))
    for length, stretch in pieces.slices:
        whole = timedelta(minutes=length)
        assert (stretch.start - DAY) % whole == (stretch.end - DAY) % whole == timedelta(0)
        assert folded_until is not None
        assert stretch.end <= folded_until
        assert not any(stretch.start <= minute < stretch.end for minute in marked)


@given(windows(), minutes, st.sets(minutes, max_size=3))
def test_few_slices_are_read_however_long_the_window(
    window: Window, folded_until: datetime, marked: set[datetime]
) -> None:
    pieces = split(window, folded_until, marked)
    short = sum((one.end - one.start) // MINUTE for one in pieces.minutes)
    assert short <= 2 * 60 * (1 + len(marked))
    raw = sum(((one.end - one.start) for one in pieces.raw), timedelta(0))
    unfolded = max(timedelta(0), window.end - max(window.start, folded_until))
    assert raw <= unfolded + 2 * MINUTE + len(marked) * MINUTE


def test_a_day_folded_is_its_hours_and_the_ends() -> None:
    window = Window(DAY + timedelta(hours=1, minutes=58, seconds=30), DAY + timedelta(hours=26, minutes=1, seconds=10))
    assert split(window, DAY + timedelta(days=9)) == Pieces(
        hours=(Window(DAY + 2 * HOUR, DAY + 26 * HOUR),),
        minutes=(
            Window(DAY + HOUR + 59 * MINUTE, DAY + 2 * HOUR),
            Window(DAY + 26 * HOUR, DAY + 26 * HOUR + MINUTE),
        ),
        raw=(Window(window.start, DAY + HOUR + 59 * MINUTE), Window(DAY + 26 * HOUR + MINUTE, window.end)),
    )


counted = st.lists(st.tuples(minutes, st.integers(1, 3_000)), min_size=1, max_size=200, unique_by=lambda one: one[0])


@given(counted, st.integers(1, 5_000))
def test_a_spread_holds_some_rows_and_all_when_they_are_few(
    rows_by_minute: list[tuple[datetime, int]], rows: int
) -> None:
    found = spread(rows_by_minute, rows)
    held = sum(many for minute, many in rows_by_minute if any(one.start <= minute < one.end for one in found))
    total, most = sum(many for _, many in rows_by_minute), max(many for _, many in rows_by_minute)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert held == total if total <= rows else 0 < held <= rows + len(found) * most


def test_a_spread_reaches_over_the_whole_window() -> None:
    found = spread([(DAY + place * MINUTE, 100) for place in range(1_440)], 20_000)
    assert len(found) == 40
    assert sum((one.end - one.start) // MINUTE for one in found) == 200
    assert found[0].start < DAY + HOUR
    assert found[-1].end > DAY + 23 * HOUR
    assert spread([], 20_000) == []
