"""What is over and done with: resolved alerts, what was told of them, and processes that ended, removed by age."""

from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

BATCH = 1000
# Each takes at most a batch, so that no transaction holds up others for long. What goes with an alert: its notices,
# their deliveries and the attempts at them.
_STATEMENTS = {
    "alerts": "DELETE FROM alert WHERE id IN (SELECT id FROM alert WHERE state = 'resolved' AND resolved_at < :before"
    " AND NOT EXISTS (SELECT FROM delivery WHERE delivery.alert_id = alert.id AND state IN ('pending', 'sending'))"
    " ORDER BY id LIMIT :batch)",
    "events": "DELETE FROM alert_event WHERE id IN (SELECT id FROM alert_event WHERE last_at < :before"
    " AND NOT EXISTS (SELECT FROM alert WHERE alert.id = alert_event.alert_id) ORDER BY id LIMIT :batch)",
    "notices": "DELETE FROM notice WHERE id IN (SELECT id FROM notice WHERE created_at < :before AND alert_id IS NULL"
    " AND NOT EXISTS (SELECT FROM delivery WHERE delivery.notice_id = notice.id AND state IN ('pending', 'sending'))"
    " ORDER BY id LIMIT :batch)",
    "workers": "DELETE FROM api_worker WHERE id IN (SELECT id FROM api_worker WHERE lease_until < :before"
    " ORDER BY id LIMIT :batch)",
    "acks": "DELETE FROM change_ack WHERE (change_id, worker_id) IN (SELECT change_id, worker_id FROM change_ack"
    " WHERE acked_at < :before ORDER BY change_id, worker_id LIMIT :batch)",
}
KINDS = tuple(_STATEMENTS)


def forget(session: Session, kind: str, *, before: datetime) -> int:
    """Remove at most BATCH things of a kind (one of KINDS, in that order) that ended before an instant.

    Returns how many. Alerts that are not resolved keep all that belongs to them, whatever its age.
    """
    counted = text(f"WITH gone AS ({_STATEMENTS[kind]} RETURNING 1) SELECT count(*) FROM gone")
    return int(session.execute(counted, {"before": before, "batch": BATCH}).scalar_one())
