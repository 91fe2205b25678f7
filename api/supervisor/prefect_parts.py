"""Prefect as `up` runs it: its environment, and how to tell that the server and the worker are ready."""

from collections.abc import Mapping
from datetime import datetime

import httpx

from api.settings import Settings
from api.supervisor.home import Home
from api.supervisor.ports import is_loopback, reachable_host

WORK_POOL = "pilothouse"
_PROBE_TIMEOUT_S = 3.0
# these would make it talk to another server, or name a profile that our own Prefect home does not have
_FOREIGN = ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH", "PREFECT_HOME")
# A watch run each minute would otherwise stay for good; whoever wants to keep them longer says so in the environment.
_TIDY = {
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(14 * 24 * 3600),
}


def prefect_address(settings: Settings) -> str:
    """Return the address of Prefect's UI as this machine reaches it."""
    return f"http://{reachable_host(settings.prefect_host)}:{settings.prefect_port}"


def prefect_environment(
    base: Mapping[str, str], settings: Settings, home: Home, *, database_url: str
) -> dict[str, str]:
    """Return the environment of everything Prefect: ours to a server of its own that tells nobody of itself."""
    address = prefect_address(settings)
    fixed = {
        "PREFECT_HOME": str(home.prefect),
        "PREFECT_API_URL": f"{address}/api",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url,
        "PREFECT_SERVER_API_HOST": settings.prefect_host,
        "PREFECT_SERVER_API_PORT": str(settings.prefect_port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    if not is_loopback(settings.prefect_host) and "PREFECT_UI_API_URL" not in base:
        fixed["PREFECT_UI_API_URL"] = "/api"  # the browser is elsewhere: relative to where it found the UI
    kept = {name: value for name, value in base.items() if name not in _FOREIGN and name != "PILOTHOUSE_ADMIN_KEY"}
    return {**_TIDY, **kept, **fixed}


async def http_ok(client: httpx.AsyncClient, url: str) -> bool:
    """Say whether a GET is answered with 200."""
    try:
        return (await client.get(url, timeout=_PROBE_TIMEOUT_S)).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def ensure_work_pool(address: str) -> None:
    """Create the work pool unless it exists, so that worker and flow deployments can start side by side.

    Raises RuntimeError when Prefect does not answer.
    """
    # an empty template is filled in by the first worker that comes
    pool = {"name": WORK_POOL, "type": "process", "base_job_template": {}}
    try:
        with httpx.Client(timeout=_PROBE_TIMEOUT_S, trust_env=False) as client:
            if client.get(f"{address}/api/work_pools/{WORK_POOL}").is_success:
                return
            answer = client.post(f"{address}/api/work_pools/", json=pool)
    except httpx.HTTPError as error:
        raise RuntimeError(f"Prefect does not answer at {address} ({error or type(error).__name__})") from error
    if answer.is_error and answer.status_code != httpx.codes.CONFLICT:
        raise RuntimeError(f"Prefect refused the work pool {WORK_POOL} ({answer.status_code}): {answer.text}")


async def worker_beats(client: httpx.AsyncClient, address: str, *, since: datetime) -> bool:
    """Say whether a worker of our pool has sent a heartbeat since an instant."""
    try:
        url = f"{address}/api/work_pools/{WORK_POOL}/workers/filter"
        answer = await client.post(url, json={}, timeout=_PROBE_TIMEOUT_S)
        answer.raise_for_status()
        beats = [worker["last_heartbeat_time"] for worker in answer.json()]
    except (httpx.HTTPError, KeyError, ValueError):
        return False
    return any(beat and datetime.fromisoformat(beat) >= since for beat in beats)
