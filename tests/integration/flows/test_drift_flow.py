"""Drift runs from enqueue to what a person sees, through the forking worker and a real PostgreSQL."""

import uuid
from typing import Any

import pytest

from monitoring.store.database import Database
from monitoring.store.drift_results import read_report, result_history
from tests.integration.flows.conftest import PrefectServer
from tests.integration.flows.drift_subjects import add_subject

pytestmark = pytest.mark.usefixtures("worker")


def _run(server: PrefectServer, deployment_id: uuid.UUID, **parameters: int) -> dict[str, Any]:
    flow_run_id = server.enqueue("drift/drift", {"deployment_id": str(deployment_id), **parameters})
    return server.wait_for(flow_run_id, {"COMPLETED"})


def test_a_shifted_window_is_measured_recorded_and_drawn(
    flow_deployments: PrefectServer, flows_database: Database
) -> None:
    deployment_id = add_subject(flows_database, rows=3_000, shift=0.8)
    run = _run(flow_deployments, deployment_id)
    with flows_database.transaction() as session:
        (result,) = result_history(session, deployment_id, 10)
        html = read_report(session, deployment_id)
    assert str(result.flow_run_id) == run["id"]
    assert result.inference_rows == 3_000
    assert result.features["n00"]["status"] == "high"
    assert result.features["c00"]["status"] == "low"
    assert html is not None
    assert "<html" in html
    assert run["name"] == "drift of d"
    expected = f"{result.overall_status}: PSI {result.overall_psi:.2f} over 20 features, 3,000 rows"
    assert run["state"]["message"] == expected
    shown = {artifact["type"]: artifact for artifact in flow_deployments.artifacts(str(run["id"]))}
    assert set(shown) == {"table", "markdown"}
    assert str(deployment_id) in shown["markdown"]["data"]
    assert "n00" in shown["table"]["data"]


def test_an_empty_window_is_recorded_as_insufficient_data(
    flow_deployments: PrefectServer, flows_database: Database
) -> None:
    deployment_id = add_subject(flows_database, rows=0)
    run = _run(flow_deployments, deployment_id, window_minutes=5)
    with flows_database.transaction() as session:
        (result,) = result_history(session, deployment_id, 10)
        assert read_report(session, deployment_id) is None
    assert (result.overall_status, result.inference_rows) == ("insufficient_data", 0)
    assert run["state"]["message"] == "insufficient_data: no PSI over 20 features, 0 rows"


def test_an_unknown_deployment_fails_with_its_name(flow_deployments: PrefectServer) -> None:
    missing = uuid.uuid4()
    flow_run_id = flow_deployments.enqueue("drift/drift", {"deployment_id": str(missing)})
    run = flow_deployments.wait_for(flow_run_id, {"FAILED"})
    assert run["state"]["message"] == f"No deployment {missing}: nothing was measured"


def test_a_report_that_fails_leaves_the_numbers_and_says_so(
    flow_deployments: PrefectServer, flows_database: Database
) -> None:
    deployment_id = add_subject(flows_database, rows=200)
    with flows_database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE reference_profile SET sample = 'not parquet'")
    run = _run(flow_deployments, deployment_id)
    with flows_database.transaction() as session:
        (result,) = result_history(session, deployment_id, 10)
        assert read_report(session, deployment_id) is None
    assert result.inference_rows == 200
    assert "200 rows; the numbers are stored, but the Evidently report failed: " in run["state"]["message"]


def test_two_sweeps_of_one_slot_enqueue_each_active_deployment_once(
    flow_deployments: PrefectServer, flows_database: Database
) -> None:
    deployment_id = add_subject(flows_database, rows=0)
    with flows_database.transaction() as session:
        session.connection().exec_driver_sql(
            "UPDATE deployment SET status = 'inactive' WHERE id <> %(id)s", {"id": deployment_id}
        )
    moment = "2026-01-31T10:47:00Z"
    for expected in ("1 drift runs for 1 active deployments (slot 2026-01-31T10:45)", None):
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": moment}}
        sweep = flow_deployments.enqueue("drift-sweep/drift-sweep", {}, state=state)
        run = flow_deployments.wait_for(sweep, {"COMPLETED"})
        assert expected in {None, run["state"]["message"]}
    wanted = {"deployments": {"name": {"any_": ["drift"]}}, "flow_runs": {"name": {"any_": ["drift of d"]}}}
    runs = flow_deployments.call("POST", "/flow_runs/filter", wanted)
    mine = [run for run in runs if run["parameters"].get("deployment_id") == str(deployment_id)]
    assert [run["idempotency_key"] for run in mine] == [f"sweep-2026-01-31T10:45-{deployment_id}"]
    flow_deployments.wait_for(mine[0]["id"], {"COMPLETED"})
