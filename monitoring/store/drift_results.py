"""Drift results: recorded once a flow run, kept as history; the newest few with Evidently's HTML."""

import uuid
import zlib
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from monitoring.measurement import DriftMeasurement
from monitoring.store.ids import new_id
from monitoring.store.tables import DriftReport, DriftResult
from monitoring.windows import Window

KEPT_REPORTS = 5


def record_result(
    session: Session,
    deployment_id: uuid.UUID,
    measurement: DriftMeasurement,
    window: Window,
    *,
    flow_run_id: uuid.UUID | None,
    computed_at: datetime,
) -> uuid.UUID:
    """Store a measurement and return its id; a flow run that records again replaces its own row, id kept."""
    measured = {
        "window_start": window.start,
        "window_end": window.end,
        "overall_status": measurement.overall_status,
        "overall_psi": measurement.overall_psi,
        "weighted_psi": measurement.weighted_psi,
        "features": measurement.features_json(),
        "prediction": measurement.prediction_json(),
        "inference_rows": measurement.inference_rows,
        "computed_at": computed_at,
    }
    identity = {"id": new_id(), "deployment_id": deployment_id, "flow_run_id": flow_run_id}
    statement = (
        insert(DriftResult)
        .values(**identity, **measured)
        .on_conflict_do_update(index_elements=["flow_run_id"], set_=measured)
        .returning(col(DriftResult.id))
    )
    recorded: uuid.UUID = session.execute(statement).scalar_one()
    return recorded


def latest_result(session: Session, deployment_id: uuid.UUID) -> DriftResult | None:
    """Return the newest result of a deployment, None when it was never measured."""
    return next(iter(result_history(session, deployment_id, 1)), None)


def result_history(session: Session, deployment_id: uuid.UUID, count: int) -> list[DriftResult]:
    """Return the newest `count` results of a deployment, newest first."""
    newest_first = (col(DriftResult.computed_at).desc(), col(DriftResult.id).desc())
    statement = select(DriftResult).where(DriftResult.deployment_id == deployment_id).order_by(*newest_first)
    return list(session.exec(statement.limit(count)))


def record_report(session: Session, drift_result_id: uuid.UUID, html: str) -> None:
    """Keep the report of a result (again: replaced), and only the newest five of its deployment."""
    packed = zlib.compress(html.encode(), level=6)
    session.execute(
        insert(DriftReport)
        .values(drift_result_id=drift_result_id, html_zlib=packed)
        .on_conflict_do_update(index_elements=["drift_result_id"], set_={"html_zlib": packed})
    )
    reported = (
        select(DriftReport.drift_result_id)
        .join(DriftResult, col(DriftResult.id) == col(DriftReport.drift_result_id))
        .where(DriftResult.deployment_id == _deployment_of(session, drift_result_id))
        .order_by(col(DriftResult.computed_at).desc(), col(DriftResult.id).desc())
        .offset(KEPT_REPORTS)
    )
    session.execute(delete(DriftReport).where(col(DriftReport.drift_result_id).in_(reported)))


def read_report(session: Session, deployment_id: uuid.UUID) -> str | None:
    """Return the HTML of the newest result that has one, None when there is none."""
    statement = (
        select(DriftReport.html_zlib)
        .join(DriftResult, col(DriftResult.id) == col(DriftReport.drift_result_id))
        .where(DriftResult.deployment_id == deployment_id)
        .order_by(col(DriftResult.computed_at).desc(), col(DriftResult.id).desc())
        .limit(1)
    )
    packed = session.exec(statement).first()
    return None if packed is None else zlib.decompress(packed).decode()


def _deployment_of(session: Session, drift_result_id: uuid.UUID) -> uuid.UUID:
    return session.exec(select(DriftResult.deployment_id).where(DriftResult.id == drift_result_id)).one()
