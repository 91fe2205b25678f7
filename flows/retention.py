"""The flow of every night: log rows whose days to keep have passed are folded, exported if asked, and let go."""

from datetime import timedelta
from typing import Any

from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.retrying import DELAYS_S, is_outage
from flows.settings import FlowSettings, open_database, transaction
from monitoring.store import history, retention
from monitoring.store.clock import database_time
from monitoring.store.retention import ExpiredDay, Export, LetGo

_FOLDING_S = 1800.0
_MOST_BATCHES = 1000  # of a kind of history a night


@flow(name="retention")
def retain() -> State[Any]:
    """Let log rows and history go by age. A day that cannot go stays, and holds up no other."""
    fold_what_is_left(return_state=True)  # where that fails, the days it concerns say so themselves
    days = find_expired()
    ended = [let_day_go(one) for one in days]
    forgotten = forget_history()
    problems = [problem for _, problem in ended if problem]
    message = describe([gone for gone, _ in ended], sum(forgotten.values()))
    if problems:
        return Failed(message=f"{message}; kept: {'; '.join(problems)[:2000]}")
    return Completed(message=message)


def let_day_go(expired: ExpiredDay) -> tuple[LetGo, str | None]:
    """Fold a day, export it where that is asked for, and let its rows go; return what went, or why nothing did."""
    fold_day.with_options(task_run_name=f"fold {expired.day}")(expired, return_state=True)
    exported = export_day.with_options(task_run_name=f"export {expired.day}")(expired, return_state=True)
    if not exported.is_completed():
        return LetGo(), _reason(expired, exported)
    gone = remove_day.with_options(task_run_name=f"let go {expired.day}")(expired, exported.result(), return_state=True)
    return (gone.result(), None) if gone.is_completed() else (LetGo(), _reason(expired, gone))


@task
def fold_what_is_left() -> int:
    """Fold what the log still has to be folded, for at most half an hour; return how many minutes that were."""
    from monitoring.store.rollups import fold_due  # noqa: PLC0415 - loads Polars and ADBC

    with open_database() as database:
        with database.transaction() as session:
            now = database_time(session)
        return fold_due(database, now=now, budget_s=_FOLDING_S, wait=True).slices


@task
def fold_day(expired: ExpiredDay) -> int:
    """Fold those deployments' day anew of which not all is folded, though nothing says so; return how many."""
    from monitoring.store.rollups import rebuild  # noqa: PLC0415

    with open_database() as database:
        with database.transaction() as session:
            now = database_time(session)
            wanting = retention.unfolded_deployments(session, expired)
        for deployment_id in wanting:
            rebuild(database, deployment_id, retention.window_of(expired.day), now=now)
    return len(wanting)


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def find_expired() -> list[ExpiredDay]:
    """Return the days whose rows may go, oldest first."""
    with transaction() as session:
        return retention.expired_days(
            session, default_days=FlowSettings().log_retention_days, now=database_time(session)
        )


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def export_day(expired: ExpiredDay) -> list[Export] | None:
    """Write each project's rows of a day to a file, where an address is set, and read it back. None: nowhere to."""
    settings = FlowSettings()
    if settings.log_export_to is None:
        return None
    from monitoring.store.exports import export_rows  # noqa: PLC0415 - loads PyArrow and fsspec

    with open_database() as database:
        return [
            export_rows(database, settings.log_export_to, project_id, expired.day) for project_id in expired.project_ids
        ]


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def remove_day(expired: ExpiredDay, exports: list[Export] | None) -> LetGo:
    """Take a day's rows out of the log, all or none."""
    with transaction() as session:
        return retention.let_go(
            session,
            expired,
            exports=exports,
            default_days=FlowSettings().log_retention_days,
            now=database_time(session),
        )


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def forget_history() -> dict[str, int]:
    """Remove what was over and done with before the days that history is kept; return how many of each kind."""
    with transaction() as session:
        before = database_time(session) - timedelta(days=FlowSettings().history_retention_days)
    forgotten = dict.fromkeys(history.KINDS, 0)
    with open_database() as database:
        for kind in history.KINDS:
            for _ in range(_MOST_BATCHES):
                with database.transaction() as session:
                    removed = history.forget(session, kind, before=before)
                forgotten[kind] += removed
                if removed < history.BATCH:
                    break
    return forgotten


def describe(gone: list[LetGo], forgotten: int) -> str:
    """Say a run in one line: `12,000 log rows let go, 1 day dropped as a whole; 3 things of the past forgotten`."""
    rows, dropped = sum(one.rows for one in gone), sum(one.is_dropped for one in gone)
    days = f"{dropped:,} day{'' if dropped == 1 else 's'}"
    return f"{rows:,} log rows let go, {days} dropped as a whole; {forgotten:,} things of the past forgotten"


def _reason(expired: ExpiredDay, state: State[Any]) -> str:
    error = state.result(raise_on_failure=False)
    told = str(error) if isinstance(error, retention.DayKept) else f"{expired.day} ({type(error).__name__})"
    return told[:300]
