"""The watch at size: 1,000 rules over 100 deployments in one evaluation, and 10,000 pending deliveries drained.

Run by hand: `uv run python -m tests.benchmarks.watch`. PostgreSQL is the embedded one; the receiver answers each
request 20 ms after it came, from a process of its own. Evaluations run on beside the drain, and their time is shown.
"""

import multiprocessing
import resource
import statistics
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from sqlalchemy import event, text

from flows.delivering import hand_over
from flows.evaluating import evaluate_rules
from flows.sending import Sender
from flows.settings import FlowSettings
from monitoring.profile import Predictions
from monitoring.store.alert_tables import AlertRule
from monitoring.store.database import Database
from monitoring.store.ids import new_id
from tests.benchmarks.installation import machine, own_database
from tests.drift_material import NOW, add_deployment, twenty_columns, twenty_features
from tests.integration.watch.receivers import Receiver, serving
from tests.integration.watch.world import World
from tests.logged_requests import Sent, log_requests

DEPLOYMENTS, RULES, ROWS = 100, 1_000, 1_000
DELIVERIES, DELAY_S, CHANNELS = 10_000, 0.02, 20
METRICS = ("drift_psi", "prediction_anomaly", "error_rate", "latency_p99", "model_staleness", "accuracy_degradation")
_THRESHOLDS = {"drift_psi": 0.1, "error_rate": 1.0, "latency_p99": 0.5}


_COPIES = (
    (
        "INSERT INTO model SELECT (json_populate_record(m, json_build_object('id', CAST(:model AS uuid)))).* "
        "FROM model AS m WHERE m.id = :first_model"
    ),
    "INSERT INTO reference_profile SELECT :model, profile, sample FROM reference_profile WHERE model_id = :first_model",
    (
        "INSERT INTO deployment SELECT (json_populate_record(d, json_build_object('id', CAST(:deployment AS uuid), "
        "'model_id', CAST(:model AS uuid), 'stage', 'staging'))).* FROM deployment AS d WHERE d.id = :first"
    ),
    (
        "INSERT INTO inference_log SELECT (json_populate_record(l, json_build_object('deployment_id', "
        "CAST(:deployment AS uuid)))).* FROM inference_log AS l WHERE l.deployment_id = :first"
    ),
)


def fill(database: Database) -> list[uuid.UUID]:
    """Store the deployments, each with a model, a profile and rows of the last hour of its own: copies of the first."""
    rng = np.random.default_rng(3)
    predictions = Predictions("Binomial", rng.random(2_000), ["yes"] * 2_000, ("no", "yes"))
    first = add_deployment(database, twenty_columns(2_000, seed=1), twenty_features(), predictions)
    sent = [
        Sent(
            NOW - timedelta(seconds=3 * place + 1),
            inputs=[row],
            predictions=["yes"],
            scores=[float(rng.random())],
            latency_ms=float(rng.random() * 3),
        )
        for place, row in enumerate(twenty_columns(ROWS, seed=2, shift=0.4).iter_rows(named=True))
    ]
    log_requests(database, first, sent)
    copies = [new_id() for _ in range(DEPLOYMENTS - 1)]
    with database.transaction() as session:
        found = session.execute(text("SELECT model_id FROM deployment WHERE id = :id"), {"id": first}).scalar_one()
        for copy in copies:
            values = {"first": first, "first_model": found, "deployment": copy, "model": new_id()}
            for statement in _COPIES:
                session.execute(text(statement), values)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    return [first, *copies]


def add_rules(database: Database, deployments: list[uuid.UUID], world: World) -> None:
    """Store the rules, all six metrics among those of each deployment."""
    channel = world.channel()
    with database.transaction() as session:
        projects = {row.id: row.project_id for row in session.execute(text("SELECT id, project_id FROM deployment"))}
        for place in range(RULES):
            deployment_id = deployments[place % DEPLOYMENTS]
            metric = METRICS[place // DEPLOYMENTS % len(METRICS)]
            session.add(
                AlertRule(
                    id=new_id(),
                    project_id=projects[deployment_id],
                    name=f"rule {place}",
                    deployment_id=deployment_id,
                    metric=metric,
                    operator="gt",
                    threshold=_THRESHOLDS.get(metric, 0.2),
                    severity="warning",
                    channels=[channel],
                    window_minutes=60,
                    for_minutes=0,
                    min_samples=100,
                    cooldown_minutes=60,
                    no_data="ignore",
                )
            )


def measure_evaluation(database: Database) -> None:
    """Evaluate a first time (much fires), and on; print time, CPU of this process and statements."""
    for name, minutes in (("first, rules fire", 0), ("next", 1), ("next", 2)):
        with _statements(database) as counted:
            began, cpu = time.perf_counter(), time.process_time()
            changes = evaluate_rules(database, NOW + timedelta(minutes=minutes))
            taken, cpu = time.perf_counter() - began, time.process_time() - cpu
        fired = sum(change.step.notice is not None for change in changes)
        print(
            f"evaluation ({name:17}): {len(changes):,} watches, {fired:,} notices, {taken:5.2f} s, "
            f"{cpu:5.2f} s CPU here, {len(counted)} statements"
        )


def measure_drain(database: Database, url: str, world: World) -> float:
    """Put the deliveries into the outbox, drain them while evaluations go on; return deliveries a second."""
    channels = [world.channel(url) for _ in range(CHANNELS)]
    _add_deliveries(database, world, channels)
    settings = FlowSettings(allowed_addresses="127.0.0.1")
    context = multiprocessing.get_context("spawn")
    parent, child = context.Pipe()
    beside = context.Process(target=_evaluate_on, args=(database.url, child))
    beside.start()
    alone = parent.recv()
    sender = Sender(database, hand_over(settings), settings.notice_timeout_s)
    parent.send("go")
    began, cpu = time.perf_counter(), time.process_time()
    sent = sender.drain(seconds=600, patience_s=-1)
    taken, cpu = time.perf_counter() - began, time.process_time() - cpu
    parent.send("stop")
    meanwhile = parent.recv()
    beside.join()
    print(
        f"{sent.sent:,} deliveries over {CHANNELS} channels drained in {taken:.1f} s: {sent.sent / taken:.0f} a "
        f"second, {1000 * cpu / sent.sent:.1f} ms CPU each"
    )
    print(f"an evaluation takes {alone:.2f} s alone, {statistics.median(meanwhile):.2f} s beside the drain (median)")
    return sent.sent / taken


def _evaluate_on(url: str, pipe: Connection) -> None:
    database = Database(url)
    minutes = 10

    def evaluate() -> float:
        nonlocal minutes
        minutes += 1
        began = time.perf_counter()
        evaluate_rules(database, NOW + timedelta(seconds=minutes))
        return time.perf_counter() - began

    evaluate()
    pipe.send(min(evaluate() for _ in range(3)))
    pipe.recv()
    taken = []
    while not pipe.poll():
        taken.append(evaluate())
    pipe.send(taken)
    database.close()


def _add_deliveries(database: Database, world: World, channels: list[uuid.UUID]) -> None:
    facts = (
        '{"notice_id": "1", "kind": "firing", "created_at": "2026-03-14T15:09:26Z", "project_id": "1", '
        '"project_name": "p", "severity": "warning", "reason": "0.31 > 0.25"}'
    )
    with database.transaction() as session:
        session.execute(text("UPDATE delivery SET state = 'failed'"))
        values = {"project": world.project_id, "facts": facts, "many": DELIVERIES, "channels": channels}
        session.execute(
            text(
                "WITH n AS (INSERT INTO notice (id, project_id, kind, facts, created_at) "
                "SELECT gen_random_uuid(), :project, 'test', CAST(:facts AS jsonb), now() "
                "FROM generate_series(1, :many) RETURNING id), numbered AS "
                "(SELECT id, row_number() OVER () AS k FROM n) "
                "INSERT INTO delivery (id, project_id, notice_id, channel_id, channel_name, channel_type, target, "
                "state, attempts, next_attempt_at, give_up_at, created_at) SELECT gen_random_uuid(), :project, id, "
                "(CAST(:channels AS uuid[]))[1 + k % cardinality(CAST(:channels AS uuid[]))], 'c', 'webhook', '', "
                "'pending', 0, now(), now() + interval '1 day', now() FROM numbered"
            ),
            values,
        )
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE delivery")


@contextmanager
def _statements(database: Database) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine, "before_cursor_execute", note)


def _serve(pipe: Connection) -> None:
    with serving(Receiver(delay_s=DELAY_S)) as receiver:
        pipe.send(receiver.url)
        pipe.recv()
        pipe.send(len(set(receiver.ids())))


def main() -> int:
    """Measure; return 1 when a figure of the issue is missed."""
    print(machine())
    context = multiprocessing.get_context("spawn")
    parent, child = context.Pipe()
    receiving = context.Process(target=_serve, args=(child,))
    receiving.start()
    url = parent.recv()
    with own_database() as database:
        world = World(database, now=NOW)
        deployments = fill(database)
        add_rules(database, deployments, world)
        measure_evaluation(database)
        rate = measure_drain(database, url, world)
    parent.send("stop")
    print(f"{parent.recv():,} different deliveries received; peak memory here {_peak_mb():.0f} MB")
    receiving.join()
    return int(rate < 100)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
