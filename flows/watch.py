"""The flow of every minute: fold the log, evaluate all alert rules, show what was decided, and send what there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.delivering import PATIENCE_S, deliver_due, say
from flows.evaluating import evaluate_rules, table_row
from flows.folding import account_for, fold_log
from flows.retrying import DELAYS_S, is_outage
from flows.sending import Sent
from flows.settings import FlowSettings
from monitoring.store.clock import database_time
from monitoring.store.database import Database
from monitoring.store.notices import Change
from monitoring.store.outbox import abandon_undeliverable, next_due
from monitoring.store.watches import last_evaluation

DELIVER = "deliver/deliver"
MOST_ROWS = 50  # of the table: a run each minute must not fill Prefect's database
_FOLD_S = 5.0
_DELIVERY_S = 10.0
_DELIVERY_PATIENCE_S = 2.0
_LATE = timedelta(seconds=60)
_JUST_NOW = timedelta(seconds=30)


@dataclass(frozen=True)
class Seen:
    """What an evaluation did: the rows to show, how many watches it stepped, and whether something waits to be sent."""

    rows: list[dict[str, Any]]
    watches: int
    notices: int
    is_due: bool
    now: datetime
    is_covered: bool = False


@flow(name="watch")
def watch() -> State[Any]:
    """Fold for some seconds, evaluate, deliver for some seconds; what takes longer is left to runs of its own.

    Folding that fails holds up no evaluation, an evaluation that fails no notice that was made before.
    """
    folding = fold_log.with_options(retries=0)(seconds=_FOLD_S, return_state=True)
    evaluated = evaluate(flow_run.get_scheduled_start_time(), return_state=True)
    if not evaluated.is_completed():
        sent = deliver_due(seconds=_DELIVERY_S, patience_s=_DELIVERY_PATIENCE_S)
        return Failed(message=f"Nothing was evaluated ({evaluated.message}); {say(sent)}")
    seen: Seen = evaluated.result()
    if seen.rows:
        show_table(seen, return_state=True)
    if not seen.is_due:
        return Completed(message=f"{describe(seen)}{account_for(folding)}")
    sent = deliver_due(seconds=_DELIVERY_S, patience_s=_DELIVERY_PATIENCE_S)
    more = start_delivering(sent)
    return Completed(message=f"{describe(seen)}; {say(sent)}{more}{account_for(folding)}")


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def evaluate(scheduled_at: datetime | None) -> Seen:
    """Evaluate all rules as of the database's time, unless this run is late and another evaluation was just now."""
    database = Database(FlowSettings().resolved_database_url(), pool_size=1)
    try:
        with database.transaction() as session:
            now = database_time(session)
            covered = is_covered(scheduled_at, now, last_evaluation(session))
            abandon_undeliverable(session, now=now)  # here too: a pass that does so runs only when something is due
        changes = [] if covered else evaluate_rules(database, now)
        with database.transaction() as session:
            due = next_due(session)
    finally:
        database.close()
    return summarize(changes, now=now, due=due, covered=covered)


def is_covered(scheduled_at: datetime | None, now: datetime, last: datetime | None) -> bool:
    """Tell whether a run adds nothing: it starts late, and of what it missed another has just caught up."""
    if scheduled_at is None or last is None:
        return False
    return now - scheduled_at > _LATE and abs(now - last) < _JUST_NOW


def summarize(changes: Sequence[Change], *, now: datetime, due: datetime | None, covered: bool) -> Seen:
    """Return what to show of an evaluation: what is not at rest first, then by rule, at most MOST_ROWS rows."""
    at_rest = [change.watch.state.phase == change.step.state.phase == "ok" for change in changes]
    order = sorted(range(len(changes)), key=lambda place: (at_rest[place], changes[place].watch.rule.name))
    return Seen(
        rows=[table_row(changes[place]) for place in order[:MOST_ROWS]],
        watches=len(changes),
        notices=sum(change.step.notice is not None for change in changes),
        is_due=due is not None and due <= now + timedelta(seconds=PATIENCE_S),
        now=now,
        is_covered=covered,
    )


@task
def show_table(seen: Seen) -> None:
    """Put what was seen and decided into Prefect's UI."""
    left_out = seen.watches - len(seen.rows)
    more = f" ({left_out:,} more, all at rest or further down by name)" if left_out else ""
    create_table_artifact(table=seen.rows, key="watch", description=f"{describe(seen)}{more}")


def start_delivering(sent: Sent) -> str:
    """Start a `deliver` run if something is still due, one a minute; return what the run should say of it."""
    if sent.next_due is None or sent.next_due > sent.ended_at + timedelta(seconds=PATIENCE_S):
        return ""
    with get_client(sync_client=True) as client:
        flow_deployment = client.read_deployment_by_name(DELIVER)
        client.create_flow_run_from_deployment(
            flow_deployment.id, idempotency_key=f"deliver-{sent.ended_at:%Y-%m-%dT%H:%M}", name="what is still due"
        )
    return "; a deliver run takes the rest"


def describe(seen: Seen) -> str:
    """Say an evaluation in one line: `12 watches evaluated, 1 notice`."""
    if seen.is_covered:
        return "late; another run has just evaluated"
    if not seen.watches:
        return "no rule to evaluate"
    return f"{seen.watches:,} watches evaluated, {seen.notices:,} notice{'' if seen.notices == 1 else 's'}"
