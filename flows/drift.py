"""The flow that measures one deployment's drift: what was logged in a window against its model's reference.

Polars and Evidently load inside the tasks that need them: the worker preloads what it can, and a plain Prefect worker
starts the flow without waiting for them.
"""

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.retrying import DELAYS_S, is_outage
from flows.settings import FlowSettings, open_database, transaction
from monitoring.store.database import psycopg_url
from monitoring.store.drift_subjects import DriftSubject, find_drift_subject
from monitoring.store.errors import NotFound
from monitoring.windows import DEFAULT_WINDOW_MINUTES, Window, trailing_window

if TYPE_CHECKING:
    import polars as pl

    from monitoring.counts import WindowCounts
    from monitoring.measurement import DriftMeasurement
    from monitoring.profile import Profile


@flow(name="drift")
def check_drift(deployment_id: uuid.UUID, window_minutes: int = DEFAULT_WINDOW_MINUTES) -> State[Any]:
    """Measure a deployment's drift over the window that ends now, record it, then have Evidently draw it."""
    window = trailing_window(datetime.now(UTC), window_minutes)
    try:
        subject = load_subject(deployment_id)
    except NotFound as missing:
        return Failed(message=f"{missing}: nothing was measured")
    name_run(subject)
    profile = load_profile(deployment_id)
    counts = count_window(subject, profile, window)
    measurement = measure_drift(profile, counts)
    result_id = record_drift(subject, measurement, window)
    show_table(subject, measurement)
    summary = summarize(measurement)
    report = publish_report(subject, profile, measurement, window, result_id) if measurement.inference_rows else ""
    return Completed(message=summary + report)


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def load_subject(deployment_id: uuid.UUID) -> DriftSubject:
    """Read which deployment this is. Raises NotFound."""
    with transaction() as session:
        return find_drift_subject(session, deployment_id)


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def load_profile(deployment_id: uuid.UUID) -> "Profile":
    """Read the frozen profile of the deployment's model. Raises ProfileMissing."""
    from monitoring.store.reference_profiles import deployment_profile  # noqa: PLC0415 - loads Polars

    with transaction() as session:
        return deployment_profile(session, deployment_id)


def name_run(subject: DriftSubject) -> None:
    """Name the flow run by the deployment it looks at, also when it was started by hand."""
    with get_client(sync_client=True) as client:
        client.update_flow_run(uuid.UUID(str(flow_run.get_id())), name=run_name(subject.name))
    get_run_logger().info("Deployment %r (%s) of model %r", subject.name, subject.status, subject.model_name)


def run_name(deployment_name: str) -> str:
    """Return the name of a drift run of that deployment."""
    return f"drift of {deployment_name}"


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def count_window(subject: DriftSubject, profile: "Profile", window: Window) -> "WindowCounts":
    """Add up the window's counts per frozen bin, out of the rollups and of the log's rows not yet folded."""
    from monitoring.store.log_counting import count_deployment  # noqa: PLC0415 - loads Polars and ADBC

    with open_database() as database:
        counts = count_deployment(database, subject.deployment_id, window, profile)
    get_run_logger().info("%s rows, %s without inputs", f"{counts.rows:,}", f"{counts.skipped:,}")
    return counts


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def draw_sample(subject: DriftSubject, profile: "Profile", window: Window) -> "pl.DataFrame | None":
    """Read a bounded sample of the window's rows for pictures; None when there are none, or none any more."""
    from monitoring.store.window_sample import (  # noqa: PLC0415 - loads Polars and ADBC
        read_window_sample,
        sampled_stretches,
    )

    with transaction() as session:
        stretches = sampled_stretches(session, subject.deployment_id, window)
    url = psycopg_url(FlowSettings().resolved_database_url())
    return read_window_sample(url, subject.deployment_id, stretches, profile)


@task
def measure_drift(profile: "Profile", counts: "WindowCounts") -> "DriftMeasurement":
    """Turn the counts into PSI per feature and of the predictions."""
    from monitoring.measurement import measure  # noqa: PLC0415 - loads Polars

    return measure(profile, counts)


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def record_drift(subject: DriftSubject, measurement: "DriftMeasurement", window: Window) -> uuid.UUID:
    """Store the measurement as this flow run's result; running again replaces it."""
    from monitoring.store.drift_results import record_result  # noqa: PLC0415 - loads Polars

    with transaction() as session:
        return record_result(
            session,
            subject.deployment_id,
            measurement,
            window,
            flow_run_id=uuid.UUID(str(flow_run.get_id())),
            computed_at=datetime.now(UTC),
        )


@task
def show_table(subject: DriftSubject, measurement: "DriftMeasurement") -> None:
    """Put the features, most drifted first, into Prefect's UI."""
    rows = [{"feature": name, **drift} for name, drift in measurement.features_json().items()]
    rows.sort(key=lambda row: -(row["psi"] or 0.0))
    rows.append({"feature": "(prediction)", **measurement.prediction.to_json()})
    create_table_artifact(
        table=[{key: _rounded(value) for key, value in row.items()} for row in rows],
        key=f"drift-{subject.deployment_id}",
        description=f"Drift of {subject.name}: {summarize(measurement)}",
    )


def publish_report(
    subject: DriftSubject,
    profile: "Profile",
    measurement: "DriftMeasurement",
    window: Window,
    result_id: uuid.UUID,
) -> str:
    """Draw and keep the report; return what the run should say of a failure, for the numbers stand without it."""
    drawn: State[Any] = draw_sample(subject, profile, window, return_state=True)
    if drawn.is_completed():
        sample = drawn.result()
        if sample is None:
            return ""
        drawn = draw_report(subject, profile, measurement, sample, result_id, return_state=True)
    return "" if drawn.is_completed() else f"; the numbers are stored, but the Evidently report failed: {drawn.message}"


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def draw_report(
    subject: DriftSubject,
    profile: "Profile",
    measurement: "DriftMeasurement",
    sample: "pl.DataFrame",
    result_id: uuid.UUID,
) -> None:
    """Have Evidently draw the window against the reference, keep the HTML, and link it in Prefect's UI."""
    from monitoring.drift import render_report  # noqa: PLC0415 - loads Evidently
    from monitoring.samples import read_sample  # noqa: PLC0415 - loads Polars
    from monitoring.store.drift_results import record_report  # noqa: PLC0415 - loads Polars
    from monitoring.store.reference_profiles import deployment_sample  # noqa: PLC0415 - loads Polars

    with transaction() as session:
        reference = read_sample(deployment_sample(session, subject.deployment_id))
    html = render_report(profile, measurement, reference, sample)
    with transaction() as session:
        record_report(session, result_id, html)
    create_link_artifact(
        link=f"{FlowSettings().api_address}/api/mlops/deployments/{subject.deployment_id}/drift/report",
        link_text="Evidently's report (asks for an API key as password)",
        key=f"drift-report-{subject.deployment_id}",
        description=f"Drift report of {subject.name}",
    )


def summarize(measurement: "DriftMeasurement") -> str:
    """Say a measurement in one line: `moderate: PSI 0.13 over 5 features, 2,345 rows`."""
    value = "no PSI" if measurement.overall_psi is None else f"PSI {measurement.overall_psi:.2f}"
    return (
        f"{measurement.overall_status}: {value} over {len(measurement.features)} features, "
        f"{measurement.inference_rows:,} rows"
    )


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value
