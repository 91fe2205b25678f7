"""An outage as callers, probes and operators see it; `pilothouse ledger` proves that nothing is missing after it."""

import json
from typing import Any

import httpx
import psycopg
from click.testing import CliRunner, Result
from sqlalchemy import make_url, text

from api.cli.main import main
from api.settings import Settings
from monitoring.store.database import Database
from tests.integration.serving.breaking import until_true
from tests.integration.serving.conftest import Deploy
from tests.integration.serving.test_predictions import PROSTATE, ask, logged


def ready(base_url: str) -> tuple[int, dict[str, Any]]:
    """Return the status of readiness and its parts."""
    answer = httpx.get(f"{base_url}/health/ready")
    return answer.status_code, {name: part["state"] for name, part in answer.json()["parts"].items()}


def figure(base_url: str, name: str) -> float:
    """Return a figure of /metrics without labels."""
    lines = httpx.get(f"{base_url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"pilothouse_{name} "))


def run_ledger(settings: Settings, *options: str) -> Result:
    """Run `pilothouse ledger` on the installation."""
    environment = {
        "PILOTHOUSE_HOME": str(settings.home),
        "PILOTHOUSE_DATABASE_URL": settings.resolved_database_url(),
    }
    return CliRunner().invoke(main, ["ledger", *options], env=environment)


def test_predictions_go_on_through_an_outage_and_every_row_is_accounted_for(
    client: httpx.Client,
    deploy: Deploy,
    database: Database,
    settings: Settings,
    base_url: str,
    postgres_url: str,
) -> None:
    deployment, name = deploy(), make_url(database.url).database
    before = ask(client, deployment, PROSTATE)
    assert (before.status_code, before.headers["inference-log"]) == (200, "stored")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            during = [ask(client, deployment, [PROSTATE] * 3) for _ in range(4)]
            assert {(each.status_code, each.headers["inference-log"]) for each in during} == {(200, "spooled")}
            status, parts = ready(base_url)
            assert (status, parts["log_writer"], parts["database"]) == (200, "degraded", "degraded")
            assert figure(base_url, "spool_rows_waiting") == figure(base_url, "log_rows_spooled_total") == 12
            assert figure(base_url, "spool_bytes") > 0
        finally:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    until_true(lambda: ready(base_url)[1]["log_writer"] == "ok", 30)
    ids = [row_id for answer in (before, *during) for row_id in answer.json()["inference_ids"]]
    assert [str(row["id"]) for row in logged(database, deployment)] == ids
    assert figure(base_url, "spool_rows_replayed_total") == 12

    told = json.loads(run_ledger(settings, "--json").stdout)
    assert told["balanced"]
    assert (told["total"]["served"], told["total"]["stored"], told["total"]["replayed"]) == (13, 1, 12)
    with database.transaction() as session:
        session.execute(text("DELETE FROM inference_log WHERE id = :id"), {"id": ids[5]})
    proof = run_ledger(settings)
    assert proof.exit_code == 1
    assert "minutes do not balance" in proof.stdout
    assert "the log has" in proof.stderr
    assert "the counts say" in proof.stderr
