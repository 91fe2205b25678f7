"""`pilothouse ledger`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from api.cli.errors import expected, read_settings
from api.cli.opened_database import opened_database
from api.cli.tables import print_table
from api.inference_log.spool_survey import Survey, survey
from monitoring.store.ledger import Account, Balance, MinuteAccount, WorkerAccount, first_minute, read_balance
from monitoring.store.ledger_tables import REMOVER

_DEFAULT = timedelta(hours=24)
_COLUMNS = ("Served", "Stored", "Spooled", "Refused", "Refused, stored", "Replayed", "Shed", "Removed")
_SHOWN_FAULTS = 50


@click.command("ledger")
@click.option("--since", metavar="TIME", help="From this time, e.g. 2026-01-31T12:00Z.  [default: 24 hours ago]")
@click.option("--until", metavar="TIME", help="To this time.  [default: now]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@expected
def ledger_command(*, since: str | None, until: str | None, as_json: bool) -> None:
    """Prove that every log row of a period is accounted for.

    Compares, for each UTC minute, what the API's processes say they took, stored, spooled and refused with the rows in
    the database: counts them all, so a long period takes a while. Exits with 0 when everything balances, with 1 and the
    minutes otherwise. What waits in this home's spool is shown beside.
    """
    settings = read_settings()
    end = _minute(until, datetime.now(UTC)) + timedelta(minutes=1)
    begin = _minute(since, end - _DEFAULT)
    if begin >= end:
        raise click.UsageError("--since must come before --until")
    with opened_database(settings) as database:
        with database.transaction() as session:
            begin = max(begin, first_minute(session) or begin)
        with database.transaction() as session:
            balance = read_balance(session, begin, end)
    spool = survey(settings.home / "spool")
    if as_json:
        click.echo(json.dumps(_document(begin, end, balance, spool), indent=2))
    else:
        _print(begin, end, balance, spool)
    sys.exit(1 if balance.faulty else 0)


def _minute(given: str | None, default: datetime) -> datetime:
    """Return the UTC minute of a time as given. Raises UsageError."""
    try:
        moment = default if given is None else datetime.fromisoformat(given)
    except ValueError as error:
        raise click.UsageError(f"{given!r} is no time: write it as 2026-01-31T12:00Z") from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.replace(second=0, microsecond=0)


def _print(begin: datetime, end: datetime, balance: Balance, spool: Survey | None) -> None:
    total = balance.total
    click.echo(f"{_time(begin)} to {_time(end)}")
    rows = [(_name(each), *_cells(each.account)) for each in balance.workers]
    print_table(("Process", *_COLUMNS), [*rows, ("all", *_cells(total))])
    click.echo(
        f"\nserved {total.served} = stored {total.stored} + spooled {total.spooled} + refused {total.refused}"
        f" + {total.open} not ended (waiting now, or cut off when their process was killed)"
    )
    click.echo(
        f"in the log {balance.logged} = stored {total.stored} + replayed {total.replayed}"
        f" + refused, stored {total.refused_stored} - removed {total.removed}"
    )
    click.echo(_spool_line(balance, spool))
    for each in balance.faulty[:_SHOWN_FAULTS]:
        click.echo(f"{_time(each.minute)}: {'; '.join(each.faults)}", err=True)
    if not balance.minutes:
        click.echo("Nothing was served or logged in this period")
        return
    count = len(balance.faulty)
    click.echo(f"{count} of {len(balance.minutes)} minutes do not balance" if count else "Everything balances")


def _spool_line(balance: Balance, spool: Survey | None) -> str:
    total = balance.total
    line = f"spooled {total.spooled} = replayed {total.replayed} + {total.in_spools} not in the log"
    parts = [] if spool is None else [f"{spool.rows} rows wait in this home's spool ({spool.segments} files)"]
    parts += [f"{balance.set_aside} rows were set aside"] if balance.set_aside else []
    torn = balance.torn + (0 if spool is None else spool.torn_records)
    parts += [f"{torn} records were cut off or damaged"] if torn else []
    return f"{line}: {', '.join(parts)}" if parts else line


def _document(begin: datetime, end: datetime, balance: Balance, spool: Survey | None) -> dict[str, Any]:
    return {
        "since": _time(begin),
        "until": _time(end),
        "balanced": not balance.faulty,
        "total": _figures(balance.total) | {"logged": balance.logged},
        "workers": [_worker(each) for each in balance.workers],
        "unbalanced": [_minute_document(each) for each in balance.faulty],
        "minutes": len(balance.minutes),
        "spool": None if spool is None else asdict(spool),
        "set_aside": balance.set_aside,
        "torn_records": balance.torn,
    }


def _worker(each: WorkerAccount) -> dict[str, Any]:
    facts = {"worker_id": str(each.worker_id), "host": each.host, "pid": each.pid, "is_live": each.is_live}
    return facts | _figures(each.account)


def _minute_document(each: MinuteAccount) -> dict[str, Any]:
    counts = {"logged": each.logged, "counted": each.counted, "faults": each.faults}
    return {"minute": _time(each.minute)} | _figures(each.account) | counts


def _figures(account: Account) -> dict[str, int]:
    return asdict(account) | {"open": account.open, "in_spools": account.in_spools}


def _cells(account: Account) -> Sequence[str]:
    return [str(figure) for figure in asdict(account).values()]


def _name(each: WorkerAccount) -> str:
    if each.worker_id == REMOVER:
        return "(removed)"
    place = f" {each.host} pid {each.pid}" if each.host else ""
    return f"{each.worker_id}{place}{' (live)' if each.is_live else ''}"


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes").replace("+00:00", "Z")
