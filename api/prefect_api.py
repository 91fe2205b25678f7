"""Talking to the Prefect server over its REST API. The API process never imports Prefect.

Every call is bounded: one request takes at most `timeout_s`, and no method makes more than three.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import httpx

JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]

_STATUS_OF: Mapping[str, JobStatus] = {
    "SCHEDULED": "queued",
    "PENDING": "queued",
    "RUNNING": "running",
    "PAUSED": "running",
    "CANCELLING": "running",
    "COMPLETED": "succeeded",
    "FAILED": "failed",
    "CRASHED": "failed",
    "CANCELLED": "cancelled",
}


class PrefectUnreachable(Exception):
    """The Prefect server did not answer in time, or with an error of its own."""


class FlowDeploymentMissing(Exception):
    """The server knows no such flow deployment: `prefect deploy --all` has not run against it."""


class FlowRunUnknown(LookupError):
    """The server knows no such flow run, or no longer."""


@dataclass(frozen=True)
class RunState:
    """How a flow run stands; `progress` is 0 to 1 where the run shows it."""

    status: JobStatus
    message: str | None
    started_at: datetime | None
    finished_at: datetime | None
    progress: float | None


class PrefectApi:
    """A client of one Prefect server, safe to share between threads."""

    def __init__(self, base_url: str, timeout_s: float = 3.0) -> None:
        """Take the API's address (`http://127.0.0.1:4200/api`) and the bound of one request in seconds."""
        self._client = httpx.Client(
            base_url=base_url,
            timeout=httpx.Timeout(timeout_s, connect=min(1.0, timeout_s), pool=min(1.0, timeout_s)),
            trust_env=False,
        )
        self._flow_deployments: dict[str, str] = {}

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def is_healthy(self) -> bool:
        """Tell whether the server answers."""
        try:
            return self._client.get("/health", timeout=1.0).is_success
        except httpx.HTTPError:
            return False

    def start_run(
        self,
        flow: str,
        deployment: str,
        parameters: Mapping[str, Any],
        idempotency_key: str,
        *,
        name: str | None = None,
    ) -> uuid.UUID:
        """Enqueue a run of a flow deployment and return its id; the same key again returns the first run's.

        Raises PrefectUnreachable and FlowDeploymentMissing.
        """
        wanted = f"{flow}/{deployment}"
        body = {"parameters": dict(parameters), "idempotency_key": idempotency_key}
        if name is not None:
            body["name"] = name
        for _ in range(2):  # a remembered id may be of a deployment since removed and made again
            was_known = wanted in self._flow_deployments
            answer = self._call("POST", f"/deployments/{self._flow_deployment_id(wanted)}/create_flow_run", body)
            if answer is not None:
                return uuid.UUID(answer["id"])
            self._flow_deployments.pop(wanted, None)
            if not was_known:
                break
        raise FlowDeploymentMissing(wanted)

    def run_state(self, flow_run_id: uuid.UUID) -> RunState:
        """Return how a run stands. Raises PrefectUnreachable and FlowRunUnknown."""
        run = self._call("GET", f"/flow_runs/{flow_run_id}")
        if run is None:
            raise FlowRunUnknown(f"Prefect does not know the flow run {flow_run_id}")
        status = _STATUS_OF.get(str(run.get("state_type")), "queued")
        return RunState(
            status=status,
            message=(run.get("state") or {}).get("message"),
            started_at=_time(run.get("start_time")),
            finished_at=_time(run.get("end_time")),
            progress=1.0 if status == "succeeded" else self._progress(flow_run_id) if status == "running" else None,
        )

    def cancel(self, flow_run_id: uuid.UUID) -> bool:
        """Ask for a run to be cancelled; False when it has ended. Raises PrefectUnreachable and FlowRunUnknown."""
        wanted = {"state": {"type": "CANCELLING", "name": "Cancelling", "message": "Cancelled over the API"}}
        answer = self._call("POST", f"/flow_runs/{flow_run_id}/set_state", wanted)
        if answer is None:
            raise FlowRunUnknown(f"Prefect does not know the flow run {flow_run_id}")
        accepted = answer.get("status") == "ACCEPT"
        return accepted or (answer.get("state") or {}).get("type") in {"CANCELLING", "CANCELLED"}

    def _progress(self, flow_run_id: uuid.UUID) -> float | None:
        wanted = {"flow_run_id": {"any_": [str(flow_run_id)]}, "type": {"any_": ["progress"]}}
        found = self._call("POST", "/artifacts/filter", {"artifacts": wanted, "sort": "UPDATED_DESC", "limit": 1})
        value = found[0].get("data") if found else None
        return min(max(float(value) / 100, 0.0), 1.0) if isinstance(value, int | float) else None

    def _flow_deployment_id(self, wanted: str) -> str:
        if wanted not in self._flow_deployments:
            found = self._call("GET", f"/deployments/name/{wanted}")
            if found is None:
                raise FlowDeploymentMissing(wanted)
            self._flow_deployments[wanted] = found["id"]
        return self._flow_deployments[wanted]

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the decoded answer, None for 404."""
        try:
            answer = self._client.request(method, path, json=body)
            if answer.status_code == httpx.codes.NOT_FOUND:
                return None
            return answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise PrefectUnreachable(
                f"Prefect does not answer as it should: {error or type(error).__name__}"
            ) from error


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
