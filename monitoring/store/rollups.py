"""Folding the log into rollups: each closed minute once for what it holds, and again when that has changed.

A slice is replaced by what the log says now, never added to; so a fold that is repeated, interrupted, or done by two
does no harm. Slices, progress and settled marks go in one transaction, one folder at a time.
"""

import logging
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from monitoring.folding import HOUR, MINUTE, floor_hour, fold_minutes
from monitoring.profile import Profile
from monitoring.slices import Sums
from monitoring.store.database import Database
from monitoring.store.inference_rows import LogReader, LogUnreadable, open_log
from monitoring.store.rollup_due import Bounds, Due, closed_until, find_due, minutes_with_rows, unfolded
from monitoring.store.rollup_labels import read_labels
from monitoring.store.rollup_rows import add_up, decode, encode
from monitoring.store.rollup_writes import move_progress, put_slices, refresh_hours
from monitoring.store.tables import Deployment, ReferenceProfile
from monitoring.store.turns import take_folding_turn
from monitoring.windows import Window

__all__ = ["Folded", "add_up", "decode", "encode", "fold_due", "rebuild", "unfolded"]

_SHORTEST_TIMEOUT_S, _LONGEST_TIMEOUT_S = 10, 60
_log = logging.getLogger(__name__)

Minutes = Mapping[uuid.UUID, Collection[datetime]]


@dataclass(frozen=True)
class Folded:
    """What was folded: minutes and their log rows. `is_done`: nothing is left to do, or another is at it.

    `failed` are deployments whose rows could not be counted; theirs stay to be folded.
    """

    slices: int = 0
    rows: int = 0
    is_done: bool = True
    failed: tuple[uuid.UUID, ...] = ()

    def __add__(self, later: "Folded") -> "Folded":
        """Return both, as it stands after the later."""
        return Folded(self.slices + later.slices, self.rows + later.rows, later.is_done, self.failed + later.failed)


def fold_due(
    database: Database, *, now: datetime, budget_s: float, wait: bool = False, bounds: Bounds | None = None
) -> Folded:
    """Fold what is due, oldest minutes first, until nothing is or `budget_s` has passed; begin at least once.

    A transaction holds some 100,000 rows and may end a second or two past the budget. While another folds this returns
    at once, unless it is to `wait`. Raises LogUnreadable and what the database raises: what is folded by then stays.
    """
    until = time.monotonic() + budget_s
    timeout_s = max(_SHORTEST_TIMEOUT_S, min(_LONGEST_TIMEOUT_S, int(budget_s)))
    folded = Folded()
    while True:
        with database.transaction() as session:
            if not _take_turn(session, timeout_s, wait=wait):
                return folded
            due = find_due(session, now=now, bounds=bounds or Bounds(), left_out=folded.failed)
            folded += Folded() if due.is_empty else _fold(session, database.url, due, now, timeout_s)
        if folded.is_done or time.monotonic() >= until:
            return folded


def rebuild(database: Database, deployment_id: uuid.UUID, window: Window, *, now: datetime) -> Folded:
    """Fold every minute of the whole hours that the window touches anew from the log; wait for whoever folds.

    Minutes of which the log has fewer rows than their slice (they went by age) stay as they are. Raises as `fold_due`.
    """
    hour, end = floor_hour(window.start), min(window.end, closed_until(now))
    folded = Folded()
    while hour < end:
        with database.transaction() as session:
            _take_turn(session, _LONGEST_TIMEOUT_S, wait=True)
            its = minutes_with_rows(session, deployment_id, Window(hour, min(hour + HOUR, closed_until(now))))
            if its:
                due = Due(minutes={deployment_id: set(its)})
                folded += _fold(session, database.url, due, now, _LONGEST_TIMEOUT_S)
        hour += HOUR
    return folded


def _take_turn(session: Session, timeout_s: int, *, wait: bool) -> bool:
    """Be the one who folds until the transaction ends, its statements bounded; return whether that could be had."""
    taken = take_folding_turn(session, wait=wait)
    session.execute(text("SELECT set_config('statement_timeout', :bound, true)"), {"bound": f"{timeout_s}s"})
    return taken


def _fold(session: Session, url: str, due: Due, now: datetime, timeout_s: int) -> Folded:
    """Read the due minutes and put their slices; marks are settled that were seen before anything was read."""
    held = _hold_deployments(session, due.minutes)
    with open_log(url, statement_timeout_s=timeout_s) as log:
        sums, profiles, failed = _read_minutes(log, {one: due.minutes[one] for one in held}, held)
    labels = read_labels(session, {one: its.keys() for one, its in sums.items()})
    slices = [
        encode(one, 1, minute, its + labels.get((one, minute), Sums()), folded_at=now)
        for one, minutes in sums.items()
        for minute, its in minutes.items()
    ]
    put_slices(session, slices)
    progress = move_progress(session, {one: at for one, at in due.reached.items() if one in sums}, sums.keys())
    refresh_hours(session, {one: its.keys() for one, its in sums.items()}, progress, profiles, now=now)
    _settle(session, due, held=held.keys(), failed=failed)
    rows = sum(one.log_rows for one in slices)
    return Folded(len(slices), rows, is_done=due.is_all, failed=tuple(failed))


def _hold_deployments(session: Session, minutes: Minutes) -> dict[uuid.UUID, dict[str, Any] | None]:
    """Return the profiles, as stored, of the deployments that are there; none is deleted in this transaction."""
    statement = (
        select(Deployment.id, ReferenceProfile.profile)
        .outerjoin(ReferenceProfile, col(ReferenceProfile.model_id) == col(Deployment.model_id))
        .where(col(Deployment.id).in_(minutes.keys()))
        .with_for_update(of=Deployment, key_share=True, read=True, skip_locked=True)
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def _read_minutes(
    log: LogReader, minutes: Minutes, stored: Mapping[uuid.UUID, dict[str, Any] | None]
) -> tuple[dict[uuid.UUID, dict[datetime, Sums]], dict[uuid.UUID, Profile | None], list[uuid.UUID]]:
    """Return the sums by deployment and minute, their profiles, and the deployments whose rows cannot be counted."""
    sums: dict[uuid.UUID, dict[datetime, Sums]] = {}
    profiles: dict[uuid.UUID, Profile | None] = {}
    failed: list[uuid.UUID] = []
    for one, its in minutes.items():
        try:
            data = stored[one]
            profiles[one] = None if data is None else Profile.from_json(data)
            sums[one] = _read_deployment(log, one, its, profiles[one])
        except LogUnreadable:
            raise
        except Exception:  # rows that cannot be counted hold up no other deployment's
            _log.exception("Folding the log of deployment %s failed", one)
            failed.append(one)
    return sums, profiles, failed


def _read_deployment(
    log: LogReader, deployment_id: uuid.UUID, minutes: Collection[datetime], profile: Profile | None
) -> dict[datetime, Sums]:
    features = () if profile is None else profile.features
    return fold_minutes(profile, log.read_whole(deployment_id, stretches(minutes), features))


def stretches(minutes: Collection[datetime]) -> list[Window]:
    """Return minutes as windows, those that follow each other in one."""
    found: list[Window] = []
    for minute in sorted(minutes):
        if found and found[-1].end == minute:
            found[-1] = Window(found[-1].start, minute + MINUTE)
        else:
            found.append(Window(minute, minute + MINUTE))
    return found


def _settle(session: Session, due: Due, *, held: Collection[uuid.UUID], failed: Collection[uuid.UUID]) -> None:
    """Drop the marks seen, but of deployments that could not be counted or are just being deleted."""
    gone = due.marks.keys() - held
    there = set(session.exec(select(Deployment.id).where(col(Deployment.id).in_(gone))).all()) if gone else set()
    kept = {one for one in there if one in due.minutes} | set(failed)
    ids = [mark for one, marks in due.marks.items() if one not in kept for mark in marks]
    if ids:
        session.execute(text("DELETE FROM rollup_mark WHERE id = ANY(CAST(:ids AS bigint[]))"), {"ids": ids})
