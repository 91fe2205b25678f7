"""A project's day of the log, with the feedback to it, streamed as Arrow for a file that outlives the rows."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import adbc_driver_postgresql
import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcStatement
from adbc_driver_postgresql import StatementOptions

from monitoring.log_archive import Archive, without_credentials
from monitoring.store.clock import database_time
from monitoring.store.database import Database
from monitoring.store.retention import DayKept, Export, check_folded, next_part, project_deployments

_BATCH_BYTES = 2 << 20
_CONNECT_TIMEOUT_S = 10
_COLUMNS = (
    "log.deployment_id::text AS deployment_id, log.id::text AS inference_id, log.request_id::text AS request_id, "
    "log.created_at, log.status_code, log.latency_ms, log.inputs::text AS inputs, log.prediction, log.score, "
    "log.probabilities, log.error, log.privacy_version_id::text AS privacy_version_id, log.privacy_error, "
    "log.bins::text AS bins, feedback.label AS actual_label, feedback.number AS actual_number, "
    "feedback.observed_at AS actual_observed_at, feedback.received_at AS actual_received_at"
)


class ExportFailed(DayKept):
    """Why the rows of a day are not in a file; it tells no credentials that the address holds."""


def export_rows(database: Database, address: str, project_id: uuid.UUID, day: date) -> Export:
    """Write a project's day to `<address>/<project_id>/<day>.parquet`, read it back, and put a manifest beside it.

    A later export of the same day, of rows that came after it had been let go, gets a name of its own (`<day>-2`).
    Raises DayKept for a day that is not folded, and ExportFailed.
    """
    with database.transaction() as session:
        deployment_ids = project_deployments(session, project_id)
        check_folded(session, deployment_ids, day)
        part, now = next_part(session, project_id, day), database_time(session)
    facts = {"project_id": str(project_id), "day": str(day), "part": part, "exported_at": _iso(now)}
    name = f"{project_id}/{day}{'' if part == 1 else f'-{part}'}"
    try:
        with open_day(database.url, deployment_ids, day) as batches:
            kept = Archive(address).keep(name, batches, facts)
    except Exception as error:  # any file system's own; its text may quote the address
        told = without_credentials(f"{type(error).__name__}: {error}")[:300]
        raise ExportFailed(f"{day} of project {project_id} could not be exported: {told}") from None
    return Export(project_id, part, kept.address, kept.rows, kept.sha256, kept.fingerprint)


def _iso(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


@contextmanager
def open_day(database_url: str, deployment_ids: Sequence[uuid.UUID], day: date) -> Iterator[pa.RecordBatchReader]:
    """Yield the rows of a UTC day as batches of some 5,000, by deployment and time, in one snapshot of the database.

    Raises adbc_driver_manager.Error when the database does not give them, also between batches.
    """
    separator = "&" if "?" in database_url else "?"
    address = f"{database_url}{separator}connect_timeout={_CONNECT_TIMEOUT_S}"
    with (
        adbc_driver_postgresql.connect(address) as opened,
        AdbcConnection(opened) as connection,
        AdbcStatement(connection) as statement,
    ):
        statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)})
        statement.set_sql_query(_query(deployment_ids, day))
        stream, _ = statement.execute_query()
        with pa.RecordBatchReader.from_stream(stream) as batches:
            yield batches


def _query(deployment_ids: Sequence[uuid.UUID], day: date) -> str:
    """Literals, not parameters: see `inference_rows`."""
    wanted = ", ".join(f"'{uuid.UUID(str(one))}'" for one in deployment_ids)
    start, end = f"'{day:%Y-%m-%d} 00:00+00'", f"'{day + timedelta(days=1):%Y-%m-%d} 00:00+00'"
    return (
        f"SELECT {_COLUMNS} FROM inference_log AS log LEFT JOIN feedback"
        " ON feedback.deployment_id = log.deployment_id AND feedback.inference_id = log.id"
        f" AND feedback.predicted_at >= {start} AND feedback.predicted_at < {end} "
        f"WHERE log.deployment_id IN ({wanted}) AND log.created_at >= {start} AND log.created_at < {end} "
        "ORDER BY log.deployment_id, log.created_at, log.id"
    )
