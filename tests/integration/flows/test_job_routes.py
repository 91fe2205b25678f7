"""Drift and jobs over HTTP: asked for, followed to the end, cancelled, and bounded while Prefect is away."""

import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.settings import Settings
from monitoring.store.database import Database
from monitoring.store.keys import create_key
from monitoring.store.tables import Deployment, Job
from tests.integration.api.serving import served
from tests.integration.flows.conftest import PrefectServer
from tests.integration.flows.drift_subjects import add_subject

ENDED = {"succeeded", "failed", "cancelled"}


@contextmanager
def served_api(database: Database, home: Path, prefect_port: int) -> Iterator[httpx.Client]:
    """Serve our API, told that Prefect is at that port, and yield an admin's client."""
    settings = Settings(home=home, database_url=database.url, prefect_port=prefect_port)
    with database.transaction() as session:
        _, key = create_key(session, name="test", scopes=["admin"])
    with (
        served(create_app(settings)) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client,
    ):
        yield client


@pytest.fixture
def client(flow_deployments: PrefectServer, flows_database: Database, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of our API beside the session's Prefect."""
    with served_api(flows_database, tmp_path, flow_deployments.port) as opened:
        yield opened


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]


def ask_for_run(client: httpx.Client, deployment_id: uuid.UUID, **body: int) -> str:
    answer = client.post(f"/api/mlops/deployments/{deployment_id}/drift/run", json=body).raise_for_status()
    assert answer.status_code == 200
    assert answer.json()["ok"] is True
    return str(answer.json()["job_id"])


def job(client: httpx.Client, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/jobs/{job_id}").raise_for_status().json()["job"]
    return found


def followed(client: httpx.Client, job_id: str, timeout_s: float = 90) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    while (seen := job(client, job_id))["status"] not in ENDED:
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)
    return seen


@pytest.mark.usefixtures("worker")
def test_a_run_is_followed_from_asking_to_result(client: httpx.Client, flows_database: Database) -> None:
    deployment_id = add_subject(flows_database, rows=500, shift=0.8)
    path = f"/api/mlops/deployments/{deployment_id}/drift"
    before = client.get(path).json()
    assert before == before | {
        "deployment_id": str(deployment_id),
        "overall_status": "pending",
        "features": {},
        "computed_at": None,
        "inference_rows": 0,
    }
    assert "history" not in before
    assert client.get(f"{path}/report").status_code == 404
    job_id = ask_for_run(client, deployment_id, window_minutes=30)
    done = followed(client, job_id)
    assert (done["kind"], done["status"], done["progress"], done["error"]) == ("drift", "succeeded", 1.0, None)
    assert done["created_at"] <= done["started_at"] <= done["finished_at"]
    assert done["prefect_url"].endswith(f"/runs/flow-run/{job_id}")
    drift = client.get(path, params={"history": 5}).json()
    assert drift["inference_rows"] == done["result"]["inference_rows"] == 500
    assert drift["features"]["n00"]["status"] == "high"
    assert set(drift["features"]["n00"]) == {
        "psi", "status", "critical_value", "missing_share", "unseen_share", "p_value", "q_value", "importance"
    }  # fmt: skip
    assert "n00" in drift["drifted_features"]
    assert drift["weighted_psi"] is None
    assert drift["history"] == [done["result"]]
    report = client.get(f"{path}/report")
    assert report.headers["content-type"].startswith("text/html")
    assert "sandbox" in report.headers["content-security-policy"]
    assert "PSI on frozen reference bins" in report.text


@pytest.mark.usefixtures("paused_pool")
def test_a_job_is_cancelled_once(client: httpx.Client, flows_database: Database) -> None:
    job_id = ask_for_run(client, add_subject(flows_database, rows=0))
    assert job(client, job_id)["status"] == "queued"
    assert client.post(f"/api/jobs/{job_id}/cancel").json() == {"ok": True, "job_id": job_id}
    assert followed(client, job_id)["status"] == "cancelled"
    assert client.post(f"/api/jobs/{job_id}/cancel").status_code == 409


@pytest.mark.usefixtures("paused_pool")
def test_a_job_that_prefect_forgot_has_failed(
    client: httpx.Client, flow_deployments: PrefectServer, flows_database: Database
) -> None:
    job_id = ask_for_run(client, add_subject(flows_database, rows=0))
    flow_deployments.client.delete(f"/flow_runs/{job_id}").raise_for_status()
    forgotten = job(client, job_id)
    assert forgotten["status"] == "failed"
    assert "no longer knows" in forgotten["error"]


def test_what_cannot_be_asked_for_is_refused(client: httpx.Client, flows_database: Database) -> None:
    deployment_id = add_subject(flows_database, rows=0)
    run = f"/api/mlops/deployments/{deployment_id}/drift/run"
    for body in ({"window_minutes": 0}, {"window_minutes": 44_641}, {"minutes": 5}):
        assert client.post(run, json=body).status_code == 422
    for history in (0, 501):
        assert client.get(run.removesuffix("/run"), params={"history": history}).status_code == 422
    assert client.post(f"/api/mlops/deployments/{uuid.uuid4()}/drift/run").status_code == 404
    assert client.get(f"/api/jobs/{uuid.uuid4()}").status_code == 404
    with flows_database.transaction() as session:
        deployment = session.get_one(Deployment, deployment_id)
        deployment.status, deployment.stage = "failed", "staging"
        session.add(deployment)
    assert client.post(run).status_code == 409


@pytest.mark.parametrize("is_deaf", [False, True], ids=["refused", "deaf"])
def test_while_prefect_is_away_answers_are_bounded(
    database: Database, tmp_path: Path, deaf_port: int, is_deaf: bool
) -> None:
    """Nothing listens at port 9; at the deaf port somebody does and says nothing."""
    deployment_id = add_subject(database, rows=0)
    with served_api(database, tmp_path, deaf_port if is_deaf else 9) as client:
        with database.transaction() as session:
            project_id = session.get_one(Deployment, deployment_id).project_id
            known = Job(id=uuid.uuid4(), kind="drift", project_id=project_id, status="running")
            session.add(known)
        client.timeout = httpx.Timeout(10)
        refused = client.post(f"/api/mlops/deployments/{deployment_id}/drift/run")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        seen = job(client, str(known.id))
        assert seen["status"] == "running"
        assert "Prefect does not answer" in seen["note"]
        assert client.post(f"/api/jobs/{known.id}/cancel").status_code == 503
        assert client.get(f"/api/mlops/deployments/{deployment_id}/drift").json()["overall_status"] == "pending"
