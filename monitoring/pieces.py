"""What a window is put together from: slices of the rollups where the log is folded, rows of the log elsewhere."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from monitoring.windows import Window

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Pieces:
    """Stretches that make up a window, none twice: of whole hour slices, of minute slices, and of the log's rows."""

    hours: tuple[Window, ...]
    minutes: tuple[Window, ...]
    raw: tuple[Window, ...]

    @property
    def slices(self) -> Iterator[tuple[int, Window]]:
        """The stretches of slices, each with the minutes that one of its slices has."""
        yield from ((60, stretch) for stretch in self.hours)
        yield from ((1, stretch) for stretch in self.minutes)


def split(window: Window, folded_until: datetime | None, raw_minutes: Collection[datetime] = ()) -> Pieces:
    """Return the pieces of a window of a log that is folded up to a minute, None: not at all.

    The minute that the window begins within is raw, and so are `raw_minutes` (starts of minutes).
    """
    if folded_until is None:
        return Pieces((), (), (window,))
    first, last = _ceil(window.start, MINUTE), _floor(min(window.end, folded_until), MINUTE)
    if first >= last:
        return Pieces((), (), (window,))
    apart = _joined((minute, minute + MINUTE) for minute in sorted(raw_minutes) if first <= minute < last)
    ends = [first, *(end for stretch in apart for end in (stretch.start, stretch.end)), last]
    hours: list[Window] = []
    minutes: list[Window] = []
    for start, end in zip(ends[::2], ends[1::2], strict=True):
        whole = (_ceil(start, HOUR), _floor(end, HOUR))
        if whole[0] >= whole[1]:
            minutes += _joined([(start, end)])
        else:
            hours.append(Window(*whole))
            minutes += _joined([(start, whole[0]), (whole[1], end)])
    raw = _joined([(window.start, first), *((one.start, one.end) for one in apart), (last, window.end)])
    return Pieces(tuple(hours), tuple(minutes), tuple(raw))


def spread(rows_by_minute: Iterable[tuple[datetime, int]], rows: int, stretches: int = 40) -> list[Window]:
    """Return stretches of minutes that hold about `rows` rows, evenly spread over all; the whole where that is fewer.

    Fewer than `stretches` where a minute holds more rows than a stretch should; at least one minute.
    """
    counted = sorted(rows_by_minute)
    reached = list(accumulate(many for _, many in counted))
    if not reached or reached[-1] <= rows:
        return [Window(counted[0][0], counted[-1][0] + MINUTE)] if counted else []
    parts = max(1, min(stretches, rows * len(counted) // reached[-1]))
    taken: set[datetime] = set()
    for part in range(parts):
        middle = (part + 0.5) * reached[-1] / parts
        place = bisect_right(reached, middle)
        until = (reached[place - 1] if place else 0) + rows / parts
        last = max(place + 1, bisect_right(reached, until))
        taken.update(minute for minute, _ in counted[place:last])
    return _joined((minute, minute + MINUTE) for minute in sorted(taken))


def _joined(stretches: Iterable[tuple[datetime, datetime]]) -> list[Window]:
    """Return stretches as windows, in their order: the empty ones left out, those that touch in one."""
    found: list[Window] = []
    for start, end in stretches:
        if start < end:
            touched = found.pop() if found and found[-1].end == start else None
            found.append(Window(touched.start if touched else start, end))
    return found


def _floor(instant: datetime, length: timedelta) -> datetime:
    return instant - (instant - _EPOCH) % length


def _ceil(instant: datetime, length: timedelta) -> datetime:
    return instant + (_EPOCH - instant) % length
