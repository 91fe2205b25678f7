"""Windows of many deployments counted out of the log, by a few threads that each keep one connection."""

import logging
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from monitoring.counts import WindowCounts, count_window
from monitoring.profile import Profile
from monitoring.store.inference_rows import LogReader, LogUnreadable, open_log
from monitoring.windows import Window

_READERS = 2
_CONNECTIONS = threading.BoundedSemaphore(4)  # of the whole process: many may ask the API for metrics at once
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pass:
    """One pass over a deployment's window; without `inputs` it counts answers only."""

    deployment_id: uuid.UUID
    window: Window
    profile: Profile
    inputs: bool


@dataclass(frozen=True)
class Uncounted:
    """A pass that failed, and why."""

    why: str


def count_passes(
    database_url: str, passes: Sequence[Pass], *, statement_timeout_s: int
) -> list[WindowCounts | Uncounted]:
    """Return each pass's counts, in their order; one that fails takes no other with it."""
    counted: list[WindowCounts | Uncounted] = [Uncounted("not read")] * len(passes)
    waiting = deque(enumerate(passes))

    def work() -> None:
        while waiting:
            _count_until_failure(database_url, statement_timeout_s, waiting, counted)

    with ThreadPoolExecutor(_READERS, "count") as readers:
        for done in [readers.submit(work) for _ in range(min(_READERS, len(passes)))]:
            done.result()
    return counted


def _count_until_failure(
    database_url: str,
    statement_timeout_s: int,
    waiting: deque[tuple[int, Pass]],
    counted: list[WindowCounts | Uncounted],
) -> None:
    """Count what waits over one connection; a failed read ends it, and a failed connect fails all that waits."""
    place = None
    try:
        with _CONNECTIONS, open_log(database_url, statement_timeout_s=statement_timeout_s) as log:
            for place, one in _taken(waiting):
                counted[place] = _count(log, one)
    except LogUnreadable as error:
        lost = [left for left, _ in _taken(waiting)] if place is None else [place]
        for failed in lost:
            counted[failed] = Uncounted(str(error))


def _taken(waiting: deque[tuple[int, Pass]]) -> Iterator[tuple[int, Pass]]:
    while True:
        try:
            yield waiting.popleft()  # atomic: two threads never take the same
        except IndexError:
            return


def _count(log: LogReader, one: Pass) -> WindowCounts | Uncounted:
    batches = log.read(one.deployment_id, one.window, one.profile.features, inputs=one.inputs)
    try:
        return count_window(one.profile, batches)
    except LogUnreadable:
        raise
    except Exception as error:  # rows that cannot be counted must not end the watch over other deployments
        _log.exception("Counting the log of deployment %s failed", one.deployment_id)
        return Uncounted(f"the rows could not be counted: {type(error).__name__}")
