"""One evaluation of all rules: read what is watched, measure it, decide and record in one transaction."""

import math
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlmodel import Session

from monitoring import alerting
from monitoring.rules import Reading, judge
from monitoring.store.alert_steps import lock_alerts, record_steps
from monitoring.store.circumstances import read_circumstances
from monitoring.store.database import Database
from monitoring.store.notices import Change
from monitoring.store.watches import Watch, list_strays, list_watches, windows_wanted

if TYPE_CHECKING:
    from monitoring.store.readings import WindowReadings

Readings = Mapping[tuple[uuid.UUID, int], "WindowReadings"]
Key = tuple[uuid.UUID, uuid.UUID]


def evaluate_rules(database: Database, now: datetime) -> list[Change]:
    """Evaluate every enabled rule once, as of `now`, and withdraw what is no longer watched; return what was recorded.

    All of it is recorded, or nothing. What another evaluation stepped meanwhile is left to that one.
    """
    with database.transaction() as session:
        seen = list_watches(session)
        nothing_to_do = not seen and not list_strays(session)
    if nothing_to_do:
        return []
    readings = _measure(database, seen, now)
    with database.transaction() as session:
        lock_alerts(session)
        changes = _decide(session, seen, readings, now)
        record_steps(session, changes, now=now)
    return changes


def table_row(change: Change) -> dict[str, Any]:
    """Say in one row what an evaluation saw of a watch and decided."""
    watch, step, verdict = change.watch, change.step, change.verdict
    moved = watch.state.phase != step.state.phase
    return {
        "rule": watch.rule.name,
        "deployment": watch.deployment_name,
        "metric": watch.rule.metric if watch.rule.feature is None else f"{watch.rule.metric} of {watch.rule.feature}",
        "value": None if verdict is None or verdict.value is None else round(verdict.value, 4),
        "samples": None if verdict is None else verdict.samples,
        "phase": f"{watch.state.phase} → {step.state.phase}" if moved else step.state.phase,
        "notice": step.notice,
        "reason": step.reason,
        "detail": step.detail,
    }


def _measure(database: Database, watches: Sequence[Watch], now: datetime) -> Readings:
    if not watches:
        return {}
    from monitoring.store.readings import Wanted, measure  # noqa: PLC0415 - loads Polars

    wanted = [
        Wanted(deployment, minutes, metrics) for (deployment, minutes), metrics in windows_wanted(watches).items()
    ]
    return measure(database, wanted, now)


def _decide(session: Session, seen: Sequence[Watch], readings: Readings, now: datetime) -> list[Change]:
    """Return the steps, decided on what stands now, under the lock."""
    strays = list_strays(session)
    gone = {_key(stray.watch) for stray in strays}
    before = {_key(watch): watch for watch in seen}
    watches = [watch for watch in list_watches(session) if _key(watch) not in gone and _is_fresh(watch, before)]
    found = read_circumstances(session, [*watches, *(stray.watch for stray in strays)], now=now)
    changes = []
    for watch, circumstances in zip(watches, found[: len(watches)], strict=True):
        verdict = judge(watch.rule, _read(watch, readings))
        step = alerting.evaluate(watch.rule, watch.state, verdict, circumstances)
        changes.append(Change(watch=watch, step=step, verdict=verdict))
    for stray, circumstances in zip(strays, found[len(watches) :], strict=True):
        rule, state = stray.watch.rule, stray.watch.state
        step = alerting.withdraw(rule, state, circumstances, reason=stray.reason, detail=stray.detail)
        changes.append(Change(watch=stray.watch, step=step))
    return changes


def _is_fresh(watch: Watch, before: Mapping[Key, Watch]) -> bool:
    """Tell whether the watch stands as it did when measuring began, about the same thing: else the next run has it."""
    was = before.get(_key(watch))
    if was is None or was.state.evaluated_at != watch.state.evaluated_at:
        return False
    return (was.rule.metric, was.rule.window_minutes) == (watch.rule.metric, watch.rule.window_minutes)


def _read(watch: Watch, readings: Readings) -> Reading:
    reading = readings[watch.deployment_id, watch.rule.window_minutes].read(watch.rule.metric, watch.rule.feature)
    if reading.value is not None and not math.isfinite(reading.value):
        return Reading(None, reading.samples, f"{reading.value} is no number to compare")
    return reading


def _key(watch: Watch) -> Key:
    return watch.rule.rule_id, watch.deployment_id
