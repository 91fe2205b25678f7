"""All that alert rules want of many deployments, measured at once: statements grow with windows, never with rules."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from monitoring.counts import WindowCounts
from monitoring.measurement import measure as measure_drift
from monitoring.metrics import LabelCounts, RequestCounts
from monitoring.profile import Baseline, Profile
from monitoring.readings import NOT_WANTED, LogMeasured, Subject, Wanted, WindowReadings
from monitoring.rules import Metric, Reading
from monitoring.store.database import Database
from monitoring.store.log_counting import Pass, Uncounted, count_passes
from monitoring.store.tables import Deployment, Model, ReferenceProfile
from monitoring.store.window_counts import count_labels, count_requests, limit_statements
from monitoring.windows import Window, trailing_window

__all__ = ["Wanted", "WindowReadings", "measure"]

STATEMENT_TIMEOUT_S = 30
LOG_TIMEOUT_S = 60  # some ten million rows of a deployment; an evaluation is due every minute
T = TypeVar("T")
Key = tuple[uuid.UUID, int]

_NO_DEPLOYMENT = Reading(None, None, "there is no such deployment")
_NO_PROFILE = Reading(None, None, "the model has no reference profile")


def measure(database: Database, wanted: Sequence[Wanted], now: datetime) -> dict[Key, WindowReadings]:
    """Return the readings by deployment and window minutes, over the windows that end at `now`.

    Raises what the database raises when it cannot be reached at all; later failures are the readings' own.
    """
    metrics_by_key: dict[Key, frozenset[Metric]] = {}
    for one in wanted:
        key = (one.deployment_id, one.window_minutes)
        metrics_by_key[key] = metrics_by_key.get(key, frozenset()) | one.metrics
    with database.transaction() as session:
        subjects = _read_subjects(session, {deployment_id for deployment_id, _ in metrics_by_key})
    known = {key: names for key, names in metrics_by_key.items() if key[0] in subjects}
    requests = _by_window(database, now, _wanting(known, "error_rate", "latency_p99"), count_requests)
    labels = _by_window(database, now, _wanting(known, "accuracy_degradation"), count_labels)
    logs = _measure_logs(database, now, subjects, known)
    return {
        key: WindowReadings(
            trailing_window(now, key[1]),
            subjects.get(key[0], _NO_DEPLOYMENT),
            _found(requests, key, names & {"error_rate", "latency_p99"}, RequestCounts()),
            _found(labels, key, names & {"accuracy_degradation"}, LabelCounts(0, 0, 0.0)),
            logs.get(key, NOT_WANTED),
        )
        for key, names in metrics_by_key.items()
    }


def _wanting(known: Mapping[Key, frozenset[Metric]], *names: Metric) -> list[Key]:
    return [key for key, wanted in known.items() if not wanted.isdisjoint(names)]


def _found(parts: Mapping[Key, T | Reading], key: Key, asked: frozenset[Metric], none: T) -> T | Reading:
    return parts.get(key, none) if asked else NOT_WANTED


def _read_subjects(session: Session, deployment_ids: set[uuid.UUID]) -> dict[uuid.UUID, Subject]:
    statement = (
        select(Deployment.id, Deployment.model_id, Model.trained_at, col(ReferenceProfile.profile)["baseline"])
        .join(Model, col(Model.id) == col(Deployment.model_id))
        .outerjoin(ReferenceProfile, col(ReferenceProfile.model_id) == col(Deployment.model_id))
        .where(col(Deployment.id).in_(deployment_ids))
    )
    return {
        deployment_id: Subject(model_id, trained_at, Baseline(**baseline) if baseline else None)
        for deployment_id, model_id, trained_at, baseline in session.execute(statement)
    }


def _by_window(
    database: Database,
    now: datetime,
    keys: Sequence[Key],
    count: Callable[[Session, Sequence[uuid.UUID], Window], Mapping[uuid.UUID, T]],
) -> dict[Key, T | Reading]:
    """Return what a few statements a distinct window count; when one fails, all of that window say so."""
    found: dict[Key, T | Reading] = {}
    for minutes in sorted({minutes for _, minutes in keys}):
        ids = [deployment_id for deployment_id, its in keys if its == minutes]
        try:
            with database.transaction() as session:
                limit_statements(session, STATEMENT_TIMEOUT_S)
                counted = count(session, ids, trailing_window(now, minutes))
            found |= {(deployment_id, minutes): part for deployment_id, part in counted.items()}
        except SQLAlchemyError as error:
            found |= dict.fromkeys(((one, minutes) for one in ids), _unread(error))
    return found


def _unread(error: SQLAlchemyError) -> Reading:
    said = str(getattr(error, "orig", None) or error).partition("\n")[0]
    return Reading(None, None, f"not measured: the database said {said[:200]!r}")


def _measure_logs(
    database: Database,
    now: datetime,
    subjects: Mapping[uuid.UUID, Subject],
    known: Mapping[Key, frozenset[Metric]],
) -> dict[Key, LogMeasured | Reading]:
    keys = _wanting(known, "drift_psi", "prediction_anomaly")
    if not keys:
        return {}
    try:
        with database.transaction() as session:
            limit_statements(session, STATEMENT_TIMEOUT_S)
            profiles = _read_profiles(session, {subjects[deployment_id].model_id for deployment_id, _ in keys})
    except SQLAlchemyError as error:
        return dict.fromkeys(keys, _unread(error))
    passes: dict[Key, Pass] = {}
    measured: dict[Key, LogMeasured | Reading] = {}
    for key in keys:
        profile = profiles.get(subjects[key[0]].model_id, _NO_PROFILE)
        if isinstance(profile, Reading):
            measured[key] = profile
        else:
            passes[key] = Pass(key[0], trailing_window(now, key[1]), profile, "drift_psi" in known[key])
    counted = count_passes(database, list(passes.values()), statement_timeout_s=LOG_TIMEOUT_S)
    return measured | {
        key: _against_profile(one, counts) for (key, one), counts in zip(passes.items(), counted, strict=True)
    }


def _read_profiles(session: Session, model_ids: set[uuid.UUID]) -> dict[uuid.UUID, Profile | Reading]:
    statement = select(ReferenceProfile.model_id, ReferenceProfile.profile)
    rows = session.execute(statement.where(col(ReferenceProfile.model_id).in_(model_ids)))
    return {model_id: _profile(data) for model_id, data in rows}


def _profile(data: Mapping[str, Any]) -> Profile | Reading:
    try:
        return Profile.from_json(data)
    except ValueError as error:
        return Reading(None, None, f"not measured: {error}")


def _against_profile(one: Pass, counts: WindowCounts | Uncounted) -> LogMeasured | Reading:
    if isinstance(counts, Uncounted):
        return Reading(None, None, f"not measured: {counts.why}")
    return LogMeasured(one.profile, counts, measure_drift(one.profile, counts) if one.inputs else NOT_WANTED)
