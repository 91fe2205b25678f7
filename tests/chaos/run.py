"""One chaos run: install, send, harm, wait until it is well again, reconcile; round after round on one home."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.chaos.faults import Harm, small_disk
from tests.chaos.plan import Round
from tests.chaos.reconciling import Account, reconcile_alerts, reconcile_ledger, reconcile_log
from tests.chaos.traffic import Traffic
from tests.e2e.installation import Installation
from tests.h2o_models import TrainedModel
from tests.integration.watch.receivers import Receiver, serving

_RECOVERY_S = 120.0
_TOLD_S = 200.0  # two minutes' evaluations, and a retry
_BREACHING_ROUNDS = 15  # then as many without, so that alerts resolve and fire anew


@dataclass(frozen=True)
class Subject:
    """What the traffic goes to: a deployment that answers, and one that only ever refuses."""

    good: str
    bad: str
    database_url: str


class Chaos:
    """An installation under chaos."""

    def __init__(self, installation: Installation, harm: Harm, traffic: Traffic, subject: Subject) -> None:
        self._installation = installation
        self._harm = harm
        self._traffic = traffic
        self.subject = subject

    def run(self, this: Round) -> tuple[Account, float]:
        """Run one round; return its account and how many seconds after its last harm all was well again."""
        began = time.monotonic()
        harms = [threading.Thread(target=self._at, args=(began + fault.at_s, fault)) for fault in this.faults]
        is_breaching = (this.number - 1) // _BREACHING_ROUNDS % 2 == 0
        with self._traffic.flowing(self.subject.good, self.subject.bad if is_breaching else None):
            for harm in harms:
                harm.start()
            time.sleep(this.seconds)
            for harm in harms:
                harm.join()
        ended = time.monotonic()
        self._wait_until_well()
        account = reconcile_log(self.subject.database_url, self.subject.good, self._traffic.told)
        reconcile_ledger(self._installation, account)
        return account, time.monotonic() - ended

    def _at(self, instant: float, fault: Any) -> None:
        time.sleep(max(0.0, instant - time.monotonic()))
        self._harm.do(fault)

    def _wait_until_well(self) -> None:
        """Wait until every part is ready by itself and no row waits in a spool."""
        self._installation.wait(self._is_well, timeout_s=_RECOVERY_S)

    def _is_well(self) -> bool:
        address = f"http://127.0.0.1:{self._installation.port}"
        try:
            ready = httpx.get(f"{address}/health/ready", timeout=5, trust_env=False)
            figures = httpx.get(f"{address}/metrics", timeout=5, trust_env=False).text
        except httpx.HTTPError:
            return False
        states = {part["state"] for name, part in ready.json()["parts"].items() if name != "watch"}
        supervised = {part["state"] for part in json.loads((self._installation.home / "up.json").read_text())["parts"]}
        return states == {"ok"} and supervised <= {"ready", "done"} and _waiting(figures) == 0


def _waiting(figures: str) -> float:
    waiting = ("pilothouse_log_rows_waiting ", "pilothouse_spool_rows ")
    return sum(float(line.split()[-1]) for line in figures.splitlines() if line.startswith(waiting))


@contextmanager
def chaos(folder: Path, trained: TrainedModel, *, seed: int) -> Iterator[tuple[Chaos, Receiver]]:
    """Start an installation to harm, with models, rules and a receiver; stop it at the end."""
    home = folder / "home"
    settings = {"PILOTHOUSE_ALLOWED_ADDRESSES": "127.0.0.1"}
    with small_disk(home / "spool") as has_own_disk, serving(Receiver()) as receiver:
        installation = Installation(home, **settings)
        installation.start()
        try:
            installation.wait_ready()
            address, key = f"http://127.0.0.1:{installation.port}", installation.admin_key()
            traffic = Traffic(address, key, trained.rows[0], seed=seed)
            with httpx.Client(
                base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False
            ) as client:
                subject = _furnish(client, trained, receiver.url, (home / "database.url").read_text().strip())
            harm = Harm(installation, home / "spool", has_own_disk=has_own_disk)
            yield Chaos(installation, harm, traffic, subject), receiver
            traffic.close()
        finally:
            installation.stop()


def _furnish(client: httpx.Client, trained: TrainedModel, receiver_url: str, database_url: str) -> Subject:
    """Import the model, deploy it twice, and have a rule watch over the deployment that refuses."""

    def made(path: str, **given: Any) -> dict[str, Any]:
        answer = client.post(path, **given)
        assert answer.is_success, answer.text
        return dict(answer.json())

    project = made("/api/projects", json={"name": "chaos"})["project_id"]
    with trained.mojo.open("rb") as mojo, trained.reference.open("rb") as reference:
        files = {"file": mojo, "reference": reference}
        form = {"name": "chaos", "target": trained.target}
        model = made(f"/api/projects/{project}/models", files=files, data=form)["model_id"]
    good, bad = (
        made(f"/api/mlops/projects/{project}/deployments", json={"model_id": model, "name": stage, "stage": stage})[
            "deployment_id"
        ]
        for stage in ("production", "staging")
    )
    channel = made(
        f"/api/mlops/projects/{project}/channels",
        json={"name": "receiver", "type": "webhook", "config": {"url": receiver_url}},
    )
    made(
        f"/api/mlops/projects/{project}/alert-rules",
        json={
            "name": "refusals",
            "deployment_id": bad,
            "metric": "error_rate",
            "operator": "gt",
            "threshold": 50,
            "severity": "critical",
            "channels": [channel["id"]],
            "window_minutes": 3,
            "min_samples": 5,
            "cooldown_minutes": 1,
        },
    )
    return Subject(good, bad, database_url)


def settle_alerts(subject: Subject, receiver: Receiver, account: Account) -> None:
    """Wait until all that was to be told has been told, then reconcile it."""
    deadline = time.monotonic() + _TOLD_S
    while time.monotonic() < deadline and not _all_told(subject.database_url):
        time.sleep(1)
    reconcile_alerts(subject.database_url, receiver, account)


def _all_told(database_url: str) -> bool:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*), count(*) FILTER (WHERE state <> 'sent') FROM delivery").fetchone()
    assert row is not None
    return bool(row[0]) and not row[1]


def totals(accounts: Sequence[Account]) -> list[str]:
    """Return everything that is wrong in the accounts."""
    return [wrong for account in accounts for wrong in account.wrong]
