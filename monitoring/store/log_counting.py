"""Windows of many deployments counted: out of the rollups, and where the log is not folded out of its rows.

Rows are read by a few threads that each keep one connection.
"""

import logging
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError

from monitoring.counts import WindowCounts, count_window
from monitoring.profile import Profile
from monitoring.store.database import Database
from monitoring.store.inference_rows import LogReader, LogUnreadable, open_log
from monitoring.store.window_counts import limit_statements
from monitoring.store.window_pieces import find_pieces, folded_counts
from monitoring.windows import Window

_READERS = 2
_STATEMENT_TIMEOUT_S = 120
_CONNECTIONS = threading.BoundedSemaphore(4)  # of the whole process: many may ask the API for metrics at once
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pass:
    """A deployment's window to count; without `inputs` the answers only."""

    deployment_id: uuid.UUID
    window: Window
    profile: Profile
    inputs: bool


@dataclass(frozen=True)
class Uncounted:
    """A window that could not be counted, and why."""

    why: str


def count_deployment(database: Database, deployment_id: uuid.UUID, window: Window, profile: Profile) -> WindowCounts:
    """Return the counts of a deployment's window. Raises LogUnreadable."""
    one = Pass(deployment_id, window, profile, inputs=True)
    (counted,) = count_passes(database, [one], statement_timeout_s=_STATEMENT_TIMEOUT_S)
    if isinstance(counted, Uncounted):
        raise LogUnreadable(counted.why)
    return counted


@dataclass(frozen=True)
class _Part:
    """What of a pass is not folded, and the counts of what is."""

    of: Pass
    raw: tuple[Window, ...]
    folded: WindowCounts


def count_passes(
    database: Database, passes: Sequence[Pass], *, statement_timeout_s: int
) -> list[WindowCounts | Uncounted]:
    """Return each pass's counts, in their order; one whose rows cannot be read takes no other with it."""
    counted: list[WindowCounts | Uncounted] = [Uncounted("not read")] * len(passes)
    waiting: deque[tuple[int, _Part]] = deque()
    for place, part in enumerate(_read_folded(database, passes, statement_timeout_s)):
        counted[place] = part if isinstance(part, Uncounted) else part.folded
        if isinstance(part, _Part) and part.raw:
            waiting.append((place, part))

    def work() -> None:
        while waiting:
            _count_until_failure(database.url, statement_timeout_s, waiting, counted)

    with ThreadPoolExecutor(_READERS, "count") as readers:
        for done in [readers.submit(work) for _ in range(min(_READERS, len(waiting)))]:
            done.result()
    return counted


def _read_folded(database: Database, passes: Sequence[Pass], statement_timeout_s: int) -> list[_Part | Uncounted]:
    wanted = [(one.deployment_id, one.window) for one in passes]
    try:
        with database.transaction() as session:
            limit_statements(session, statement_timeout_s)
            pieces = find_pieces(session, wanted)
            vectors = folded_counts(session, wanted, pieces)
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).partition("\n")[0]
        return [Uncounted(f"the rollups could not be read: {said[:200]}") for _ in passes]
    return [
        _part(one, its.raw, vectors.get(place)) for place, (one, its) in enumerate(zip(passes, pieces, strict=True))
    ]


def _part(one: Pass, raw: tuple[Window, ...], vector: NDArray[np.int64] | None) -> _Part | Uncounted:
    if vector is None:
        return _Part(one, raw, WindowCounts.empty(one.profile))
    try:
        return _Part(one, raw, WindowCounts.from_vector(one.profile, vector))
    except ValueError as error:
        return Uncounted(f"the rollups could not be read: {error}")


def _count_until_failure(
    database_url: str,
    statement_timeout_s: int,
    waiting: deque[tuple[int, _Part]],
    counted: list[WindowCounts | Uncounted],
) -> None:
    """Count what waits over one connection; a failed read ends it, and a failed connect fails all that waits."""
    place = None
    try:
        with _CONNECTIONS, open_log(database_url, statement_timeout_s=statement_timeout_s) as log:
            for place, part in _taken(waiting):
                counted[place] = _count(log, part)
    except LogUnreadable as error:
        lost = [left for left, _ in _taken(waiting)] if place is None else [place]
        for failed in lost:
            counted[failed] = Uncounted(str(error))


def _taken(waiting: deque[tuple[int, _Part]]) -> Iterator[tuple[int, _Part]]:
    while True:
        try:
            yield waiting.popleft()  # atomic: two threads never take the same
        except IndexError:
            return


def _count(log: LogReader, part: _Part) -> WindowCounts | Uncounted:
    one = part.of
    stretches = [log.read(one.deployment_id, raw, one.profile.features, inputs=one.inputs) for raw in part.raw]
    try:
        return part.folded + count_window(one.profile, chain.from_iterable(stretches))
    except LogUnreadable:
        raise
    except Exception as error:  # rows that cannot be counted must not end the watch over other deployments
        _log.exception("Counting the log of deployment %s failed", one.deployment_id)
        return Uncounted(f"the rows could not be counted: {type(error).__name__}")
