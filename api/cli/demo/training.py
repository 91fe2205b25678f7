"""Training through Prefect's REST API: trigger the flow deployment and follow its run."""

import time
from typing import Any

import httpx

from api.cli.demo.calls import Call
from api.cli.demo.client import DemoClient, DemoFailed

_ENDED_BADLY = {"FAILED", "CRASHED", "CANCELLED"}
_TIMEOUT_S = 900.0
_POLL_S = 1.0


def train(client: DemoClient, prefect: str, parameters: dict[str, Any]) -> str:
    """Run `train/train` to its end and return the flow run's id. Raises DemoFailed with Prefect's reason."""
    flow_deployment = client.make(Call("GET", f"{prefect}/api/deployments/name/train/train", keyed=False))
    url = f"{prefect}/api/deployments/{flow_deployment['id']}/create_flow_run"
    run_id: str = client.make(Call("POST", url, {"parameters": parameters}, keyed=False))["id"]
    page = f"{prefect}/runs/flow-run/{run_id}"
    client.voice.say(f"  follow it at {page}")
    call = Call("GET", f"{prefect}/api/flow_runs/{run_id}", keyed=False)
    seen = ""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        run = client.make(call, show=not seen)
        seen = _tell(client, run, seen)
        if run["state_type"] == "COMPLETED":
            client.voice.settled()
            return run_id
        if run["state_type"] in _ENDED_BADLY:
            reason = (run.get("state") or {}).get("message") or "no reason given"
            raise DemoFailed(f"Training {run['state_name'].lower()}: {reason}. Its log is at {page}")
        if time.monotonic() > deadline:
            raise DemoFailed(f"Training is still {run['state_name'].lower()} after {_TIMEOUT_S:g} s. See {page}")
        time.sleep(_POLL_S)


def _tell(client: DemoClient, run: dict[str, Any], seen: str) -> str:
    """Say a new state once; on a terminal also how long it takes."""
    name: str = run["state_name"] or "Unknown"
    if name != seen:
        client.voice.say(f"  {name.lower()}")
    client.voice.waiting(f"  {name.lower()}, {run.get('estimated_run_time') or 0:.0f} s")
    return name


def prefect_answers(prefect: str) -> bool:
    """Say whether Prefect's server is there."""
    try:
        return httpx.get(f"{prefect}/api/health", timeout=5.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False
