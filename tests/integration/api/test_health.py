"""Liveness, readiness, metrics, and the OpenAPI page."""

import asyncio
import re
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import make_url, text

from api.app import create_app
from api.health import examine
from api.settings import Settings
from api.watch_metrics import watch_check
from monitoring.store.alert_tables import AlertRule
from monitoring.store.database import Database
from tests.integration.alerts.furnishing import add_deployment
from tests.integration.api.conftest import client_of
from tests.integration.api.serving import served
from tests.integration.watch.receivers import deaf_port

RULE = {
    "name": "errors",
    "metric": "error_rate",
    "operator": "gt",
    "threshold": 1.0,
    "severity": "warning",
    "channels": [],
    "window_minutes": 60,
    "for_minutes": 0,
    "min_samples": 100,
    "cooldown_minutes": 60,
    "no_data": "ignore",
}


class _HealthyPrefect(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
        self.wfile.write(b"true")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def prefect_port() -> Iterator[int]:
    """A port where something answers as a healthy Prefect server does."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _HealthyPrefect)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_it_lives(base_url: str) -> None:
    assert httpx.get(f"{base_url}/health/live").json() == {"status": "ok"}


def test_ready_without_prefect_is_degraded(base_url: str) -> None:
    answer = httpx.get(f"{base_url}/health/ready")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert set(answer.json()["parts"]) == {"database", "scorer", "log_writer", "prefect", "production", "watch"}
    assert answer.json()["parts"]["prefect"]["state"] == "degraded"
    assert answer.json()["parts"]["database"] == {"state": "ok", "detail": ""}


def test_ready_with_everything(database_url: str, tmp_path: Path, prefect_port: int) -> None:
    settings = Settings(home=tmp_path / "home", database_url=database_url, prefect_port=prefect_port)
    with served(create_app(settings)) as url:
        answer = httpx.get(f"{url}/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert {part["state"] for part in answer.json()["parts"].values()} == {"ok"}


def test_without_the_database_it_is_not_ready_and_says_so(
    base_url: str, admin_key: str, database_url: str, postgres_url: str
) -> None:
    """The database goes away under a running server: 503 everywhere, never 500, and back when it is back."""
    name = make_url(database_url).database
    client = client_of(base_url, admin_key)
    assert client.get("/api/projects").status_code == 200
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            assert httpx.get(f"{base_url}/health/live").status_code == 200
            ready = httpx.get(f"{base_url}/health/ready")
            assert (ready.status_code, ready.json()["parts"]["database"]["state"]) == (503, "down")
            for answer in (client.get("/api/projects"), client.post("/api/projects", json={"name": "x"})):
                assert answer.status_code == 503
                assert answer.headers["retry-after"] == "5"
                assert answer.headers["content-type"] == "application/problem+json"
        finally:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert client.get("/api/projects").status_code == 200


def test_metrics_have_one_series_a_route_not_one_an_id(client: httpx.Client, base_url: str, project_id: str) -> None:
    client.get(f"/api/projects/{project_id}").raise_for_status()
    client.get("/nowhere/0123456789")
    answer = httpx.get(f"{base_url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert re.search(r'pilothouse_requests_total\{.*path="/api/projects/\{project_id\}".*\} [1-9]', answer.text)
    assert "pilothouse_log_rows_stored_total 0.0" in answer.text
    assert "pilothouse_log_writer_up 1.0" in answer.text
    assert 'pilothouse_alerts_open{severity="critical"} 0.0' in answer.text
    assert "pilothouse_deliveries_waiting 0.0" in answer.text
    assert project_id not in answer.text
    assert "0123456789" not in answer.text


def test_rules_that_nobody_evaluates_are_noticed(base_url: str, database: Database, project_id: str) -> None:
    """A rule is overdue five minutes after it, its deployment or its evaluation was last touched."""
    with database.transaction() as session:
        add_deployment(session, project_id, stage="production", status="active")
        rule = AlertRule(**RULE, project_id=uuid.UUID(project_id))
        session.add(rule)
    assert httpx.get(f"{base_url}/health/ready").json()["parts"]["watch"] == {"state": "ok", "detail": ""}
    with database.transaction() as session:
        session.execute(text("UPDATE alert_rule SET updated_at = now() - interval '6 minutes'"))
        session.execute(text("UPDATE deployment SET updated_at = now() - interval '6 minutes'"))
    ready = httpx.get(f"{base_url}/health/ready")
    assert (ready.status_code, ready.json()["parts"]["watch"]["state"]) == (200, "degraded")
    assert "pilothouse_watches_overdue 1.0" in httpx.get(f"{base_url}/metrics").text
    with database.transaction() as session:
        session.execute(text("UPDATE alert_rule SET is_enabled = false"))
    assert httpx.get(f"{base_url}/health/ready").json()["parts"]["watch"]["state"] == "ok"


def test_the_schema_page_needs_no_internet(base_url: str) -> None:
    page = httpx.get(f"{base_url}/schema")
    assert page.headers["content-type"].startswith("text/html")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) >= 3
    for link in links:
        assert not re.match(r"(https?:)?//", link)
        if link.startswith("/"):
            assert httpx.get(base_url + link).status_code == 200, link
    script = httpx.get(f"{base_url}/schema/assets/swagger-ui-bundle.js")
    assert "SwaggerUIBundle" in script.text
    for unknown in ("/schema/nothing", "/schema/assets/nothing", "/schema/assets/..%2f__init__.py"):
        answer = httpx.get(base_url + unknown)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_database_that_hangs_is_no_reason_to_call_the_watch_down() -> None:
    with deaf_port() as address:
        database = Database(address.replace("http://", "postgresql://nobody@") + "nothing")
        health = asyncio.run(examine({"watch": watch_check(database)}))
        database.close()
    assert health.parts["watch"].state == "degraded"
