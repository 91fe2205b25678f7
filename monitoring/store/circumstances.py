"""What a decision needs beside state and verdict: which silence covers it, and whether its last notice arrived."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session, col, select

from monitoring.alerting import Circumstances, severity_at
from monitoring.silencing import SilenceFacts, find_muting
from monitoring.store.alert_tables import Silence
from monitoring.store.bulk import as_json, recordset
from monitoring.store.watches import Watch

# What waits for a channel that the rule gave up, or that is disabled, does not hold back who took its place.
_IN_FLIGHT = f"""
SELECT w.rule_id, w.deployment_id FROM {recordset("alert_state")} AS w
CROSS JOIN LATERAL (
    SELECT id FROM notice AS n WHERE n.rule_id = w.rule_id AND n.deployment_id = w.deployment_id
    ORDER BY n.created_at DESC, n.id DESC LIMIT 1) AS last
JOIN delivery AS d ON d.notice_id = last.id
JOIN alert_rule AS rule ON rule.id = w.rule_id
LEFT JOIN channel AS c ON c.id = d.channel_id AND c.is_enabled AND c.id = ANY(rule.channels)
GROUP BY 1, 2
HAVING bool_or(d.state IN ('pending', 'sending') AND c.id IS NOT NULL) AND NOT bool_or(d.state = 'sent')
"""


def read_circumstances(session: Session, watches: Sequence[Watch], *, now: datetime) -> list[Circumstances]:
    """Return the circumstances of each watch, in two statements however many they are.

    When a notice last arrived stands in the state: the outbox moves its `last_notice_at`.
    """
    silences = _read_silences(session, now)
    in_flight = _read_in_flight(session, [watch for watch in watches if watch.alert_id is not None])
    return [
        Circumstances(
            now=now,
            muting=find_muting(silences.get(watch.project_id, ()), _labels(watch, now), now),
            in_flight=(watch.rule.rule_id, watch.deployment_id) in in_flight,
        )
        for watch in watches
    ]


def _labels(watch: Watch, now: datetime) -> dict[str, str | None]:
    rule = watch.rule
    return {
        "rule_id": str(rule.rule_id),
        "rule": rule.name,
        "deployment_id": str(watch.deployment_id),
        "metric": rule.metric,
        "feature": rule.feature,
        "severity": severity_at(rule, watch.state, now),
    }


def _read_silences(session: Session, now: datetime) -> dict[uuid.UUID, list[SilenceFacts]]:
    found: dict[uuid.UUID, list[SilenceFacts]] = {}
    for row in session.exec(select(Silence).where(col(Silence.starts_at) <= now, col(Silence.ends_at) > now)):
        facts = SilenceFacts(str(row.id), row.matchers, row.starts_at, row.ends_at)
        found.setdefault(row.project_id, []).append(facts)
    return found


def _read_in_flight(session: Session, watches: Sequence[Watch]) -> set[tuple[uuid.UUID, uuid.UUID]]:
    if not watches:
        return set()
    keys = as_json(watch.key for watch in watches)
    return {(rule_id, deployment_id) for rule_id, deployment_id in session.execute(text(_IN_FLIGHT), {"rows": keys})}
