"""What was answered against what is kept: the log, the alerts, the deliveries, the ledger."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.chaos.traffic import NUMBERED, Told
from tests.e2e.installation import Installation
from tests.integration.watch.receivers import Receiver


@dataclass
class Account:
    """What a reconciliation found; `wrong` says what must not be."""

    answered: int = 0
    spooled: int = 0
    refused: int = 0
    unknown: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Say the rows in one line."""
        counted = f"{self.answered} answered ({self.spooled} spooled), {self.refused} refused"
        return f"{counted}, {self.unknown} unknown"

    def expect(self, held: bool, otherwise: str) -> None:
        """Note what is wrong unless it holds."""
        if not held:
            self.wrong.append(otherwise)


def reconcile_log(database_url: str, deployment_id: str, told: Told) -> Account:
    """Compare each answer with the log: every 200 is there once with its number, no number is there twice."""
    answered = told.answered()
    account = Account(
        answered=len(answered),
        spooled=sum(len(one.inference_ids) for one in told.asked if one.kept == "spooled"),
        refused=sum(len(one.numbers) for one in told.asked if one.status not in {200, None}),
        unknown=sum(len(one.numbers) for one in told.asked if one.status is None),
    )
    kept, labels = _read(database_url, deployment_id)
    numbers = Counter(number for _, number in kept)
    by_id = Counter(inference_id for inference_id, _ in kept)
    found = dict(kept)
    missing = [inference_id for inference_id in answered if inference_id not in found]
    account.expect(not missing, f"{len(missing)} answered rows are not in the log, {missing[:3]}")
    changed = [one for one, number in answered.items() if found.get(one, number) != number]
    account.expect(not changed, f"{len(changed)} rows hold another number, {changed[:3]}")
    twice = [number for number, times in numbers.items() if times > 1] + [
        one for one, times in by_id.items() if times > 1
    ]
    account.expect(not twice, f"{len(twice)} rows are there twice, {twice[:3]}")
    sent = {number for one in told.asked for number in one.numbers}
    invented = numbers.keys() - sent
    account.expect(not invented, f"numbers nobody sent: {sorted(invented)[:3]}")
    account.expect(told.labelled <= labels, f"{len(told.labelled - labels)} accepted labels are not kept")
    return account


def _read(database_url: str, deployment_id: str) -> tuple[list[tuple[str, int]], set[str]]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT id::text, (inputs->>%s)::float FROM inference_log WHERE deployment_id = %s AND status_code = 200",
            [NUMBERED, deployment_id],
        ).fetchall()
        labelled = connection.execute("SELECT inference_id::text FROM feedback").fetchall()
    return [(inference_id, int(number)) for inference_id, number in rows], {one for (one,) in labelled}


def reconcile_alerts(database_url: str, receiver: Receiver, account: Account) -> None:
    """Compare what was to be told with what arrived: each alert and each delivery at least once, one body an id."""
    bodies: dict[str, dict[str, Any]] = {}
    for one in receiver.received:
        known = bodies.setdefault(one.webhook_id, one.body)
        account.expect(known == one.body, f"delivery {one.webhook_id} came with two bodies")
    with psycopg.connect(database_url) as connection:
        deliveries = connection.execute("SELECT id::text, state FROM delivery").fetchall()
        alerts = connection.execute("SELECT id::text FROM alert").fetchall()
    late = [delivery for delivery, state in deliveries if state != "sent"]
    account.expect(not late, f"{len(late)} deliveries were not sent")
    lost = [delivery for delivery, _ in deliveries if delivery not in bodies]
    account.expect(not lost, f"{len(lost)} deliveries never arrived")
    told = {body.get("alert_id") for body in bodies.values()}
    untold = [alert for (alert,) in alerts if alert not in told]
    account.expect(not untold, f"{len(untold)} alerts were told to nobody")
    account.expect(bool(alerts), "no alert was opened: the breaches did not count")


def reconcile_ledger(installation: Installation, account: Account) -> None:
    """Ask the installation's own ledger whether it balances."""
    said = installation.run("ledger", "--json")
    account.expect(said.returncode == 0, f"the ledger does not balance: {said.stdout[-2000:]} {said.stderr[-500:]}")
    if said.returncode == 0:
        json.loads(said.stdout)
