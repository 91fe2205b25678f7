"""What an evaluation records, on a real PostgreSQL and a clock of the test's own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from flows.evaluating import evaluate_rules
from monitoring.store.alert_steps import acknowledge_alert, resolve_alert, withdraw_rule
from monitoring.store.alert_tables import Alert, AlertRule, Delivery, Silence
from monitoring.store.database import Database
from monitoring.store.errors import Conflict
from monitoring.store.ids import new_id
from monitoring.store.tables import Deployment
from notifications.notice import Notice
from tests.integration.watch.receivers import Receiver
from tests.integration.watch.world import FRESH, STALE, World


def test_a_breach_fires_and_fills_the_outbox_in_one_go(world: World) -> None:
    deployment = world.deployment()
    rule = world.rule([world.channel(), world.channel(type="email", config={"to": ["a@x.org", "b@x.org"]})])
    world.age(deployment, STALE)
    (change,) = world.evaluate()
    (alert,) = world.alerts()
    assert (alert.state, alert.severity, alert.cause, alert.value) == ("firing", "warning", "breach", 400.0)
    assert (alert.pending_since, alert.started_at) == (world.now, world.now)
    state = world.state(rule, deployment)
    assert (state.phase, state.alert_id, state.told, state.last_notice_at) == ("firing", alert.id, True, world.now)
    (row,) = world.history(rule)
    assert (row.phase_before, row.phase, row.reason, row.notice) == ("ok", "firing", "fired", "firing")
    assert row.detail == change.step.detail
    assert [delivery.target for delivery in world.deliveries()] == ["", "a@x.org", "b@x.org"]
    assert {delivery.state for delivery in world.deliveries()} == {"pending"}


def test_a_notices_facts_are_what_the_post_office_reads(world: World) -> None:
    deployment = world.deployment()
    world.rule([world.channel()], name="staleness")
    world.age(deployment, STALE)
    world.evaluate()
    (facts,) = [row.facts for row in world.rows(_notices())]
    notice = Notice.from_facts(facts, link=None)
    assert set(facts) == {name for name in Notice.__dataclass_fields__ if name != "link"}
    assert (notice.kind, notice.rule_name, notice.deployment_name, notice.stage) == (
        "firing",
        "staleness",
        "prod-v3",
        "production",
    )
    assert (notice.metric, notice.operator, notice.threshold, notice.value) == ("model_staleness", "gt", 30.0, 400.0)
    assert notice.started_at == "2026-03-14T15:09:26Z"


def test_an_alert_from_pending_to_resolved_by_the_minute(world: World, receiver: Receiver) -> None:
    deployment = world.deployment()
    rule = world.rule(
        [world.channel(receiver.url)],
        for_minutes=3,
        cooldown_minutes=10,
        escalation_minutes=5,
        escalation_severity="critical",
    )
    seen = []
    for minute in range(26):
        world.age(deployment, FRESH if minute in {0, 25} else STALE)
        world.evaluate(1)
        seen.append((world.state(rule, deployment).phase, len(world.kinds())))
        world.deliver()
    assert [phase for phase, _ in seen] == ["ok", *["pending"] * 3, *["firing"] * 21, "ok"]
    assert [one.body["kind"] for one in receiver.received] == ["firing", "escalated", "repeat", "resolved"]
    assert [count for _, count in seen].index(1) == 4
    assert [count for _, count in seen].index(2) == 9
    assert [count for _, count in seen].index(3) == 19
    (alert,) = world.alerts()
    assert (alert.state, alert.severity, alert.resolved_reason) == ("resolved", "critical", "resolved")
    assert alert.escalated_at is not None
    assert alert.escalated_at - alert.started_at == timedelta(minutes=5)


def test_evaluations_that_see_the_same_are_one_row_of_history(world: World) -> None:
    world.deployment()
    rule = world.rule()
    for _ in range(30):
        world.evaluate(1)
    (row,) = world.history(rule)
    assert (row.reason, row.evaluations) == ("below_threshold", 30)
    assert row.last_at - row.first_at == timedelta(minutes=29)


def test_a_late_evaluation_catches_up_without_a_burst(world: World) -> None:
    deployment = world.deployment()
    rule = world.rule([world.channel()], cooldown_minutes=10, escalation_minutes=20, escalation_severity="critical")
    world.age(deployment, STALE)
    world.evaluate()
    world.deliver()
    world.evaluate(minutes=600)
    assert world.kinds() == ["firing", "escalated"]
    world.evaluate(minutes=1)
    assert world.kinds() == ["firing", "escalated"]
    assert world.history(rule)[-1].reason == "cooldown"


def test_two_evaluations_at_once_double_nothing(world: World) -> None:
    deployment = world.deployment()
    channel = world.channel()
    rules = [world.rule([channel]) for _ in range(10)]
    world.age(deployment, STALE)
    barrier = threading.Barrier(4)
    found: list[int] = []

    def evaluate(offset: int) -> None:
        database = Database(world.database.url)
        barrier.wait()
        found.append(len(evaluate_rules(database, world.now + timedelta(milliseconds=offset))))
        database.close()

    threads = [threading.Thread(target=evaluate, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(world.alerts()) == len(rules)
    assert world.kinds() == ["firing"] * len(rules)
    assert len(world.deliveries()) == len(rules)


def test_an_evaluation_that_crashes_half_way_changes_nothing(world: World) -> None:
    first, second = world.deployment(), world.deployment("staging", "staging")
    resolving = world.rule([world.channel()], deployment_id=first)
    world.age(first, STALE)
    world.evaluate()
    firing = world.rule([world.channel()], deployment_id=second)
    world.age(first, FRESH)
    world.age(second, STALE)
    before = (world.count_rows(), world.alerts(), world.state(resolving, first))
    with world.database.transaction() as session:
        session.execute(
            text("CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'crash'; END $$")
        )
        session.execute(text("CREATE TRIGGER crash BEFORE INSERT ON delivery FOR EACH ROW EXECUTE FUNCTION crash()"))
    with pytest.raises(DBAPIError, match="crash"):
        world.evaluate(1)
    assert (world.count_rows(), world.alerts(), world.state(resolving, first)) == before
    with world.database.transaction() as session:
        session.execute(text("DROP TRIGGER crash ON delivery"))
    world.evaluate(1)
    assert world.kinds() == ["firing", "resolved", "firing"]
    assert world.state(firing, second).phase == "firing"


def test_a_promotion_moves_the_rule_and_resolves_the_old_alert(world: World) -> None:
    old, new = world.deployment("v1"), world.deployment("v2", "staging")
    rule = world.rule([world.channel()])
    world.age(old, STALE)
    world.age(new, STALE)
    world.evaluate()
    world.promote(old, new)
    world.evaluate(1)
    before, after = world.alerts()
    assert (before.deployment_id, before.state, before.resolved_reason) == (old, "resolved", "promoted_away")
    assert (after.deployment_id, after.state) == (new, "firing")
    assert sorted(world.kinds()) == ["firing", "firing", "resolved"]
    assert "'v2' is in production now, no longer 'v1'" in world.state(rule, old).detail


@pytest.mark.parametrize(
    ("table", "values", "reason"),
    [
        (AlertRule, {"is_enabled": False}, "rule_disabled"),
        (AlertRule, {"metric": "error_rate"}, "rule_changed"),
        (Deployment, {"status": "inactive", "stage": "archived"}, "deployment_inactive"),
    ],
)
def test_what_is_no_longer_watched_is_withdrawn_with_the_reason(
    world: World, table: Any, values: dict[str, Any], reason: str
) -> None:
    deployment = world.deployment()
    rule = world.rule([world.channel()])
    world.age(deployment, STALE)
    world.evaluate()
    world.change(table, rule if table is AlertRule else deployment, **values)
    world.evaluate(1)
    (alert,) = world.alerts()
    assert (alert.state, alert.resolved_reason) == ("resolved", reason)
    assert world.state(rule, deployment).phase == "ok"
    assert world.kinds() == ["firing", "resolved"]


def test_a_rule_edited_while_it_was_measured_waits_for_the_next_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = world.deployment()
    rule = world.rule([world.channel()])
    world.age(deployment, STALE)
    from monitoring.store import readings  # noqa: PLC0415 - patched to do an edit in between

    measure = readings.measure

    def measure_and_edit(*args: Any) -> Any:
        found = measure(*args)
        world.change(AlertRule, rule, metric="error_rate")
        return found

    monkeypatch.setattr(readings, "measure", measure_and_edit)
    assert world.evaluate() == []
    monkeypatch.undo()
    (change,) = world.evaluate(1)
    assert change.step.reason == "no_data"


def test_an_acknowledged_alert_repeats_nothing_and_tells_its_resolve(world: World) -> None:
    deployment = world.deployment()
    rule = world.rule([world.channel()], cooldown_minutes=1, escalation_minutes=5, escalation_severity="critical")
    world.age(deployment, STALE)
    world.evaluate()
    with world.database.transaction() as session:
        alert = acknowledge_alert(session, world.alerts()[0].id, now=world.now, actor="pk1")
    assert (alert.state, alert.acknowledged_by, alert.acknowledged_at) == ("acknowledged", "pk1", world.now)
    for _ in range(10):
        world.evaluate(1)
    assert world.kinds() == ["firing"]
    assert [row.reason for row in world.history(rule)] == ["fired", "acknowledged", "acknowledged"]
    assert [row.actor for row in world.history(rule)] == [None, "pk1", None]
    world.age(deployment, FRESH)
    world.evaluate(1)
    assert world.kinds() == ["firing", "resolved"]
    with pytest.raises(Conflict), world.database.transaction() as session:
        acknowledge_alert(session, alert.id, now=world.now, actor="pk1")


def test_an_alert_resolved_by_hand_fires_anew_but_keeps_the_cooldown(world: World) -> None:
    deployment = world.deployment()
    world.rule([world.channel()], cooldown_minutes=30)
    world.age(deployment, STALE)
    world.evaluate()
    with world.database.transaction() as session:
        resolve_alert(session, world.alerts()[0].id, now=world.now, actor="pk1")
    world.evaluate(1)
    assert [(alert.state, alert.resolved_reason) for alert in world.alerts()] == [
        ("resolved", "resolved_by_hand"),
        ("firing", None),
    ]
    assert world.kinds() == ["firing", "resolved"]
    world.evaluate(30)
    assert world.kinds() == ["firing", "resolved", "firing"]


def test_withdrawing_a_rule_ends_each_of_its_watches(world: World) -> None:
    deployment = world.deployment()
    rule = world.rule([world.channel()])
    world.age(deployment, STALE)
    world.evaluate()
    with world.database.transaction() as session:
        withdraw_rule(session, rule, reason="rule_deleted", detail="deleted by pk1", now=world.now, actor="pk1")
        session.delete(session.get(AlertRule, rule))
    (alert,) = world.alerts()
    assert (alert.state, alert.resolved_reason) == ("resolved", "rule_deleted")
    assert world.kinds() == ["firing", "resolved"]


def test_a_silence_holds_notices_back_until_it_ends(world: World) -> None:
    deployment = world.deployment()
    rule = world.rule([world.channel()], name="loud")
    world.add(
        Silence(
            project_id=world.project_id,
            matchers={"rule": "loud"},
            starts_at=world.now,
            ends_at=world.now + timedelta(minutes=5),
            created_by="pk1",
        )
    )
    world.age(deployment, STALE)
    for _ in range(5):
        world.evaluate(1)
        assert world.state(rule, deployment).phase == "firing"
    assert [(len(world.kinds()), alert.state) for alert in world.alerts()] == [(1, "firing")]
    assert world.history(rule)[0].reason == "fired"
    assert world.history(rule)[1].reason == "silenced"


def test_a_repeat_leaves_out_who_has_still_to_get_the_last_notice(world: World) -> None:
    deployment = world.deployment()
    arrives, waits = world.channel(), world.channel()
    world.rule([arrives, waits], cooldown_minutes=10)
    world.age(deployment, STALE)
    world.evaluate()
    (first,) = [delivery for delivery in world.deliveries() if delivery.channel_id == arrives]
    world.change(Delivery, first.id, state="sent", sent_at=world.now)
    world.evaluate(10)
    assert world.kinds() == ["firing", "repeat"]
    assert [delivery.channel_id for delivery in world.deliveries()] == [arrives, waits, arrives]


def test_no_repeat_while_the_last_notice_reached_nobody(world: World) -> None:
    deployment = world.deployment()
    rule = world.rule([world.channel()], cooldown_minutes=10)
    world.age(deployment, STALE)
    world.evaluate()
    world.evaluate(10)
    assert world.kinds() == ["firing"]
    assert world.history(rule)[-1].reason == "delivery_in_flight"


def test_a_disabled_channel_gets_no_delivery(world: World) -> None:
    deployment = world.deployment()
    off, on = world.channel(is_enabled=False), world.channel()
    world.rule([off, on, on])
    world.age(deployment, STALE)
    world.evaluate()
    assert [delivery.channel_id for delivery in world.deliveries()] == [on]


def test_statements_do_not_grow_with_the_rules_of_a_deployment(world: World) -> None:
    deployment = world.deployment()
    channel = world.channel()
    world.age(deployment, STALE)
    world.rule([channel])
    world.evaluate()
    counts = []
    for many in (5, 50):
        for _ in range(2):
            world.evaluate(1)  # from here on the rules that are there write the same each time
        for _ in range(many):
            world.rule([channel])
        with _counted(world.database) as statements:
            assert sum(change.step.notice is not None for change in world.evaluate(1)) == many
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_the_database_holds_one_open_alert_per_rule_and_deployment(world: World) -> None:
    deployment = world.deployment()
    world.rule([world.channel()])
    world.age(deployment, STALE)
    world.evaluate()
    (alert,) = world.alerts()
    twin = {**alert.model_dump(), "id": new_id()}
    with pytest.raises(DBAPIError, match="one_open_alert"):
        world.add(Alert(**twin))


@contextmanager
def _counted(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(database.engine, "before_cursor_execute", note)


def _notices() -> Any:
    from monitoring.store.alert_tables import Notice as NoticeRow  # noqa: PLC0415 - its name is the wire type's here

    return NoticeRow
