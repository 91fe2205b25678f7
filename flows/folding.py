"""Folding the log into rollups: some seconds of it in every `watch` run, and the flow that catches up."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.retrying import DELAYS_S, is_outage
from flows.settings import FlowSettings
from monitoring.store.clock import database_time
from monitoring.store.database import Database
from monitoring.store.rollup_due import Bounds, find_due

if TYPE_CHECKING:
    from monitoring.store.rollups import Folded

FOLD = "fold/fold"
LONGEST_S = 600.0


@flow(name="fold")
def fold() -> State[Any]:
    """Fold until nothing is due, for at most 10 minutes. More of it at once are harmless: one folds, others end."""
    return Completed(message=say(fold_log(seconds=LONGEST_S)))


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def fold_log(*, seconds: float) -> "Folded | None":
    """Fold what is due for about so long, as of the database's time; None: nothing was."""
    database = Database(FlowSettings().resolved_database_url(), pool_size=1)
    try:
        with database.transaction() as session:
            now = database_time(session)
            if find_due(session, now=now, bounds=Bounds(minutes=1)).is_empty:
                return None
        from monitoring.store.rollups import fold_due  # noqa: PLC0415 - loads Polars

        return fold_due(database, now=now, budget_s=seconds)
    finally:
        database.close()


def say(folded: "Folded | None") -> str:
    """Say what was folded in one line: `12 minutes folded, 3,400 rows`."""
    if folded is None:
        return "nothing to fold"
    failed = f"; the rows of {len(folded.failed)} deployments cannot be counted" if folded.failed else ""
    return f"{folded.slices:,} minutes folded, {folded.rows:,} rows{failed}"


def account_for(folding: State[Any]) -> str:
    """Return what a run should say of its folding, and start a `fold` run for what is left, one a minute."""
    if not folding.is_completed():
        return f"; folding failed ({folding.message})"
    folded: Folded | None = folding.result()
    if folded is None:
        return ""
    return f"; {say(folded)}{'' if folded.is_done else start_folding(datetime.now(UTC))}"


def start_folding(now: datetime) -> str:
    """Start a `fold` run, one a minute; return what to say of it."""
    with get_client(sync_client=True) as client:
        flow_deployment = client.read_deployment_by_name(FOLD)
        client.create_flow_run_from_deployment(
            flow_deployment.id, idempotency_key=f"fold-{now:%Y-%m-%dT%H:%M}", name="what is still to be folded"
        )
    return "; a fold run takes the rest"
