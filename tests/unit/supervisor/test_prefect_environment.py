"""What Prefect's processes are told."""

from pathlib import Path

from api.settings import Settings
from api.supervisor.home import Home
from api.supervisor.prefect_parts import prefect_environment

_BASE = {
    "PATH": "/bin",
    "PREFECT_API_KEY": "cloud",
    "PREFECT_PROFILE": "work",
    "PREFECT_API_URL": "https://elsewhere/api",
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "PILOTHOUSE_ADMIN_KEY": "pk_a_secret",
}


def _environment(**settings: object) -> dict[str, str]:
    return prefect_environment(_BASE, Settings(**settings), Home(Path("/h")), database_url="postgresql+asyncpg://x")  # type: ignore[arg-type]


def test_it_talks_to_its_own_server_only() -> None:
    found = _environment(prefect_port=4300)
    assert found["PREFECT_API_URL"] == "http://127.0.0.1:4300/api"
    assert found["PREFECT_HOME"] == "/h/prefect"
    assert found["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert not {"PREFECT_API_KEY", "PREFECT_PROFILE"} & found.keys()


def test_the_admin_key_stays_out_and_tuning_stays_in() -> None:
    found = _environment()
    assert "PILOTHOUSE_ADMIN_KEY" not in found
    assert found["PREFECT_WORKER_QUERY_SECONDS"] == "2"
    assert "PREFECT_UI_API_URL" not in found


def test_a_server_for_other_machines_tells_browsers_a_relative_address() -> None:
    found = _environment(prefect_host="0.0.0.0")  # noqa: S104
    assert found["PREFECT_UI_API_URL"] == "/api"
    assert found["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"


def test_old_runs_go_after_two_weeks_unless_told_otherwise() -> None:
    name = "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD"
    assert _environment()[name] == "1209600"
    asked = prefect_environment({name: "86400"}, Settings(), Home(Path("/h")), database_url="postgresql+asyncpg://x")
    assert asked[name] == "86400"
    assert "flow_runs" in _environment()["PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"]
