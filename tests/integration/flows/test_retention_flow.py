"""The flow of the night, run by a worker from its flow deployment."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitoring.store.database import Database
from monitoring.store.projects import delete_project
from tests.integration.flows.conftest import PrefectServer
from tests.integration.retention.days import Subject


@pytest.mark.usefixtures("worker")
def test_a_night_folds_exports_and_lets_go(flow_deployments: PrefectServer, flows_database: Database) -> None:
    subject = Subject(flows_database, days=2)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    gone, kept = subject.log(today - timedelta(days=4)), subject.log(today - timedelta(days=2), hours=5)
    run = flow_deployments.wait_for(flow_deployments.enqueue("retention/retention", {}), {"COMPLETED"})
    assert run["state"]["message"].startswith(f"{len(gone)} log rows let go, 1 day dropped as a whole; ")
    rows, counted, _, folded = subject.count()
    assert (rows, counted, folded) == (len(kept), len(kept), len(gone) + len(kept))
    folder = Path(flow_deployments.environment["PILOTHOUSE_LOG_EXPORT_TO"]) / str(subject.project_id)
    (manifest,) = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    assert manifest["rows"] == len(gone)


@pytest.mark.usefixtures("worker")
def test_a_day_that_cannot_go_fails_the_night_and_holds_up_no_other(
    flow_deployments: PrefectServer, flows_database: Database
) -> None:
    subject = Subject(flows_database, days=2)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    stays, gone = subject.log(today - timedelta(days=7), hours=3), subject.log(today - timedelta(days=6), hours=3)
    subject.miscount(stays[0])
    run = flow_deployments.wait_for(flow_deployments.enqueue("retention/retention", {}), {"FAILED"})
    assert run["state"]["message"].startswith(f"{len(gone)} log rows let go, ")
    assert "are not folded into the rollups" in run["state"]["message"]
    assert subject.count()[0] == len(stays) - 1
    with flows_database.transaction() as session:
        delete_project(session, subject.project_id, force=True)  # others fold this database too
