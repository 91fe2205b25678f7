"""The flow that the clock starts: one drift run for every active deployment."""

import uuid
from datetime import UTC, datetime
from typing import Any

from prefect import flow, task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.drift import run_name
from flows.retrying import DELAYS_S, is_outage
from flows.settings import transaction
from monitoring.store.drift_subjects import list_active_deployments

DRIFT = "drift/drift"
SLOT_MINUTES = 15
_PAGE = 200
_OPEN = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


@flow(name="drift-sweep")
def sweep_drift() -> State[Any]:
    """Enqueue a drift run for every active deployment that has none in hand; a second sweep of a slot adds nothing."""
    slot = slot_of(flow_run.get_scheduled_start_time() or datetime.now(UTC))
    deployments = read_active_deployments()
    enqueued = enqueue_runs(deployments, slot)
    return Completed(message=f"{enqueued} drift runs for {len(deployments)} active deployments (slot {slot})")


def slot_of(moment: datetime) -> str:
    """Return the name of the quarter of an hour that a moment lies in, in UTC: `2026-01-31T10:45`."""
    utc = moment.astimezone(UTC)
    return utc.replace(minute=utc.minute - utc.minute % SLOT_MINUTES).strftime("%Y-%m-%dT%H:%M")


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def read_active_deployments() -> list[tuple[uuid.UUID, str]]:
    """Return id and name of every active deployment."""
    with transaction() as session:
        return list_active_deployments(session)


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S)
def enqueue_runs(deployments: list[tuple[uuid.UUID, str]], slot: str) -> int:
    """Enqueue the runs that are wanting; return how many. Repeating it is harmless: each has its idempotency key."""
    with get_client(sync_client=True) as client:
        drift = client.read_deployment_by_name(DRIFT)
        in_hand = _deployments_in_hand(client, drift.id)
        wanting = [(one, name) for one, name in deployments if str(one) not in in_hand]
        for deployment_id, name in wanting:
            client.create_flow_run_from_deployment(
                drift.id,
                parameters={"deployment_id": str(deployment_id)},
                idempotency_key=f"sweep-{slot}-{deployment_id}",
                name=run_name(name),
            )
    return len(wanting)


def _deployments_in_hand(client: SyncPrefectClient, drift_id: uuid.UUID) -> set[str]:
    found: set[str] = set()
    for page in range(100):
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_OPEN))),
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[drift_id])),
            limit=_PAGE,
            offset=page * _PAGE,
        )
        found.update(str(run.parameters.get("deployment_id")) for run in runs)
        if len(runs) < _PAGE:
            break
    return found
