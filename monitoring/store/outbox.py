"""The outbox: deliveries are claimed in one transaction, sent outside any, and recorded in another.

Whoever dies in between leaves a claim that runs out; the delivery is then claimed again: at least once, never lost.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, text
from sqlmodel import Session

from monitoring.retrying import next_attempt
from monitoring.store.alert_tables import Channel, Delivery, DeliveryAttempt, Notice
from monitoring.store.bulk import as_json, insert_rows, recordset
from monitoring.store.notices import deliveries_of

_LONGEST_RESPONSE = 500

_WAITS_ITS_TURN = """EXISTS (
    SELECT FROM delivery AS e WHERE e.alert_id = d.alert_id AND e.channel_id = d.channel_id AND e.target = d.target
    AND e.id < d.id AND e.state IN ('pending', 'sending'))"""

_RELEASE = """
UPDATE delivery SET claimed_until = NULL, next_attempt_at = :now,
    state = CASE WHEN give_up_at <= :now THEN 'failed' ELSE 'pending' END,
    response = CASE WHEN give_up_at <= :now THEN 'No attempt came to its end' ELSE response END
WHERE state = 'sending' AND claimed_until <= :now
"""
_ABANDON = """
UPDATE delivery AS d SET state = 'failed',
    response = CASE WHEN d.channel_id IS NULL THEN 'The channel was removed' ELSE 'The channel is disabled' END
WHERE d.state = 'pending' AND (d.channel_id IS NULL OR (d.give_up_at <= :now
    AND d.channel_id IN (SELECT id FROM channel WHERE NOT is_enabled)))
"""
_CLAIM = f"""
WITH due AS MATERIALIZED (
    SELECT picked.id FROM (
        SELECT channel.id, COALESCE(busy.n, 0) AS n FROM channel
        LEFT JOIN (SELECT channel_id, count(*) AS n FROM delivery WHERE state = 'sending' GROUP BY 1) AS busy
            ON busy.channel_id = channel.id
        WHERE channel.is_enabled AND channel.id <> ALL(:held)
        ORDER BY n, random()
    ) AS c
    CROSS JOIN LATERAL (
        SELECT d.id FROM delivery AS d
        WHERE d.channel_id = c.id AND d.state = 'pending' AND d.next_attempt_at <= :now AND NOT {_WAITS_ITS_TURN}
        ORDER BY d.next_attempt_at, d.id
        LIMIT GREATEST(CASE WHEN c.id = ANY(:slow) THEN 1 ELSE :per_channel END - c.n, 0)
        FOR UPDATE SKIP LOCKED
    ) AS picked
    LIMIT :limit
), claimed AS (
    UPDATE delivery AS d SET state = 'sending', attempts = d.attempts + 1, claimed_until = :until
    FROM due WHERE d.id = due.id RETURNING d.*
), tried AS (
    INSERT INTO delivery_attempt (delivery_id, attempt, started_at) SELECT id, attempts, :now FROM claimed
)
SELECT claimed.id, claimed.attempts, claimed.channel_id, claimed.channel_type, claimed.target, claimed.give_up_at,
    claimed.notice_id, n.facts, c.config
FROM claimed JOIN notice AS n ON n.id = claimed.notice_id JOIN channel AS c ON c.id = claimed.channel_id
ORDER BY claimed.id
"""
_NEXT_DUE = f"""
SELECT LEAST(
    (SELECT min(first.at) FROM channel AS c CROSS JOIN LATERAL (
        SELECT d.next_attempt_at AS at FROM delivery AS d
        WHERE d.channel_id = c.id AND d.state = 'pending' AND NOT {_WAITS_ITS_TURN}
        ORDER BY d.next_attempt_at, d.id LIMIT 1) AS first
     WHERE c.is_enabled AND c.id <> ALL(:held)),
    (SELECT min(claimed_until) FROM delivery WHERE state = 'sending'))
"""
_SLOW = "SELECT DISTINCT channel_id FROM delivery WHERE state = 'pending' AND attempts > 0 AND channel_id IS NOT NULL"
_END_ATTEMPTS = f"""
UPDATE delivery_attempt AS t SET finished_at = r.finished_at, outcome = r.outcome, response = r.response
FROM {recordset("delivery_attempt")} AS r WHERE t.delivery_id = r.delivery_id AND t.attempt = r.attempt
"""
# A send that took longer than its claim still counts when it arrived; when not, the attempt that took over decides.
_END_CLAIMS = f"""
UPDATE delivery AS d SET state = r.state, sent_at = r.sent_at, response = r.response, claimed_until = NULL,
    next_attempt_at = COALESCE(r.next_attempt_at, d.next_attempt_at)
FROM {recordset("delivery")} AS r WHERE d.id = r.id AND d.state <> 'sent'
    AND (r.state = 'sent' OR (d.state = 'sending' AND d.attempts = r.attempts))
"""
# Locked in the order in which evaluations write them: no deadlock with one, nor with another sender.
_MOVE_COOLDOWN = f"""
WITH told AS MATERIALIZED (
    SELECT rule_id, deployment_id FROM alert_state WHERE (rule_id, deployment_id) IN (
        SELECT n.rule_id, n.deployment_id FROM {recordset("delivery")} AS r
        JOIN notice AS n ON n.id = r.notice_id AND n.kind <> 'resolved')
    ORDER BY rule_id, deployment_id FOR NO KEY UPDATE
)
UPDATE alert_state AS s SET last_notice_at = GREATEST(s.last_notice_at, :now)
FROM told WHERE s.rule_id = told.rule_id AND s.deployment_id = told.deployment_id
"""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A delivery that is ours to send until its claim runs out: where to, and the facts of its notice."""

    delivery_id: uuid.UUID
    attempt: int
    notice_id: uuid.UUID
    channel_id: uuid.UUID
    channel_type: str
    target: str
    config: dict[str, Any] = field(repr=False)
    facts: dict[str, Any]
    give_up_at: datetime


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one attempt; `jitter` (0 to 1) spreads the next one."""

    status: Literal["sent", "retry", "failed"]
    response: str
    retry_after_s: float | None = None
    jitter: float = 0.0


def claim_due(  # noqa: PLR0913 - the limits of one round
    session: Session,
    *,
    now: datetime,
    limit: int,
    lease: timedelta,
    per_channel: int,
    slow: Collection[uuid.UUID] = (),
    held: Collection[uuid.UUID] = (),
) -> list[Claimed]:
    """Claim what is due, the oldest of each channel first, at most `per_channel` in flight for one (a slow one: 1).

    Of one alert and target a later notice waits until the earlier ones have ended. Channels in `held` are left alone;
    those with less in flight come first, so that no backlog keeps another channel waiting.
    """
    session.execute(text(_RELEASE), {"now": now})
    values = {"now": now, "until": now + lease, "limit": limit, "per_channel": per_channel}
    rows = session.execute(text(_CLAIM), {**values, "slow": list(slow), "held": list(held)})
    return [_claimed(row) for row in rows]


def record_results(session: Session, results: Sequence[tuple[Claimed, Result]], *, now: datetime) -> None:
    """Record what became of attempts: sent, to be tried again (see `monitoring.retrying`), or failed for good.

    A notice that arrived, unless it told of a resolve, moves the cooldown of its rule and deployment.
    """
    if not results:
        return
    ended = [_ended(claimed, result, now) for claimed, result in results]
    attempts = [
        {
            "delivery_id": claimed.delivery_id,
            "attempt": claimed.attempt,
            "finished_at": now,
            "outcome": result.status,
            "response": result.response[:_LONGEST_RESPONSE],
        }
        for claimed, result in results
    ]
    session.execute(text(_END_ATTEMPTS), {"rows": as_json(attempts)})
    session.execute(text(_END_CLAIMS), {"rows": as_json(ended)})
    sent = [row for row in ended if row["state"] == "sent"]
    if sent:
        session.execute(text(_MOVE_COOLDOWN), {"rows": as_json(sent), "now": now})


def abandon_undeliverable(session: Session, *, now: datetime) -> None:
    """Fail what waits for a channel that was removed, or that stayed disabled until the delivery's time was over."""
    session.execute(text(_ABANDON), {"now": now})


def next_due(session: Session, *, held: Collection[uuid.UUID] = ()) -> datetime | None:
    """Return when the next delivery can be claimed (it may be past), `held` channels left out; None: nothing waits."""
    found: datetime | None = session.execute(text(_NEXT_DUE), {"held": list(held)}).scalar()
    return found


def slow_channels(session: Session) -> set[uuid.UUID]:
    """Return the channels whose last attempts did not arrive: something that was tried still waits for them."""
    return set(session.execute(text(_SLOW)).scalars())


def add_test_notice(
    session: Session, channel: Channel, notice: Notice, *, now: datetime, lease: timedelta
) -> list[Claimed]:
    """Store a notice and its deliveries to one channel, claimed already: the caller sends and records them."""
    session.add(notice)
    session.flush()
    deliveries = deliveries_of(notice, channel, now=now)
    for delivery in deliveries:
        delivery.state, delivery.attempts, delivery.claimed_until = "sending", 1, now + lease
    attempts = [DeliveryAttempt(delivery_id=delivery.id, attempt=1, started_at=now) for delivery in deliveries]
    insert_rows(session, deliveries)
    insert_rows(session, attempts)
    return [_claim_of(delivery, notice, channel) for delivery in deliveries]


def _claim_of(delivery: Delivery, notice: Notice, channel: Channel) -> Claimed:
    return Claimed(
        delivery_id=delivery.id,
        attempt=delivery.attempts,
        notice_id=notice.id,
        channel_id=channel.id,
        channel_type=channel.type,
        target=delivery.target,
        config=channel.config,
        facts=notice.facts,
        give_up_at=delivery.give_up_at,
    )


def _claimed(row: Row[Any]) -> Claimed:
    return Claimed(
        delivery_id=row.id,
        attempt=row.attempts,
        notice_id=row.notice_id,
        channel_id=row.channel_id,
        channel_type=row.channel_type,
        target=row.target,
        config=row.config,
        facts=row.facts,
        give_up_at=row.give_up_at,
    )


def _ended(claimed: Claimed, result: Result, now: datetime) -> dict[str, Any]:
    """Return the delivery's columns as an attempt's result leaves them."""
    row = {
        "id": claimed.delivery_id,
        "notice_id": claimed.notice_id,
        "attempts": claimed.attempt,
        "response": result.response[:_LONGEST_RESPONSE],
    }
    if result.status == "sent":
        return {**row, "state": "sent", "sent_at": now}
    again = None
    if result.status == "retry":
        again = next_attempt(
            attempt=claimed.attempt,
            now=now,
            give_up_at=claimed.give_up_at,
            retry_after_s=result.retry_after_s,
            jitter=result.jitter,
        )
    return {**row, "state": "failed" if again is None else "pending", "next_attempt_at": again}
