"""Windows of many deployments counted: out of the rollups, and where the log is not folded out of its rows.

Rows are read by a few threads that each keep one connection.
"""

import logging
import threading
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from monitoring.counts import WindowCounts, count_window
from monitoring.payloads import LogBatch
from monitoring.pieces import Pieces
from monitoring.profile import Profile
from monitoring.store.database import Database
from monitoring.store.few_rows import read_few, with_few_rows
from monitoring.store.inference_rows import LogReader, LogUnreadable, answered_batch, open_log
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
            few = _read_few(session, passes, pieces) if vectors else {}
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).partition("\n")[0]
        return [Uncounted(f"the rollups could not be read: {said[:200]}") for _ in passes]
    return [
        _part(one, its.raw, vectors.get(place), few.get(place))
        for place, (one, its) in enumerate(zip(passes, pieces, strict=True))
    ]


def _read_few(session: Session, passes: Sequence[Pass], pieces: Sequence[Pieces]) -> dict[int, list[pl.DataFrame]]:
    """Return the rows of passes that have few to read, by place: of one that is here nothing is left to read."""
    wanted = [(one.deployment_id, one.window) for one in passes]
    places = with_few_rows(session, wanted, pieces)
    if not places:
        return {}
    rows = read_few(session, [wanted[place] for place in places], [pieces[place] for place in places])
    return {place: [rows[at]] if at in rows else [] for at, place in enumerate(places)}


def _part(
    one: Pass, raw: tuple[Window, ...], vector: NDArray[np.int64] | None, few: list[pl.DataFrame] | None
) -> _Part | Uncounted:
    try:
        folded = WindowCounts.empty(one.profile) if vector is None else WindowCounts.from_vector(one.profile, vector)
    except ValueError as error:
        return Uncounted(f"the rollups could not be read: {error}")
    if few is None:
        return _Part(one, raw, folded)
    counted = _count(one, (answered_batch(rows, one.profile.features) for rows in few))
    return counted if isinstance(counted, Uncounted) else _Part(one, (), folded + counted)


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
                its = _count(part.of, _read(log, part))
                counted[place] = its if isinstance(its, Uncounted) else part.folded + its
    except LogUnreadable as error:
        lost = [left for left, _ in _taken(waiting)] if place is None else [place]
        for failed in lost:
            counted[failed] = Uncounted(str(error))


def _read(log: LogReader, part: _Part) -> Iterator[LogBatch]:
    for stretch in part.raw:
        yield from log.read(part.of.deployment_id, stretch, part.of.profile.features, inputs=part.of.inputs)


def _taken(waiting: deque[tuple[int, _Part]]) -> Iterator[tuple[int, _Part]]:
    while True:
        try:
            yield waiting.popleft()  # atomic: two threads never take the same
        except IndexError:
            return


def _count(one: Pass, batches: Iterable[LogBatch]) -> WindowCounts | Uncounted:
    try:
        return count_window(one.profile, batches)
    except LogUnreadable:
        raise
    except Exception as error:  # rows that cannot be counted must not end the watch over other deployments
        _log.exception("Counting the log of deployment %s failed", one.deployment_id)
        return Uncounted(f"the rows could not be counted: {type(error).__name__}")
