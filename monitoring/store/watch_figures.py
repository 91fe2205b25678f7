"""How the watch itself does: is it evaluating, what is open, what waits to be sent."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

PATIENCE = timedelta(minutes=5)

_OVERDUE = """
SELECT count(*) FROM alert_rule AS r
JOIN deployment AS d ON d.project_id = r.project_id AND d.status = 'active'
    AND (d.id = r.deployment_id OR (r.deployment_id IS NULL AND d.stage = 'production'))
LEFT JOIN alert_state AS s ON s.rule_id = r.id AND s.deployment_id = d.id
WHERE r.is_enabled AND GREATEST(r.updated_at, d.updated_at, s.evaluated_at) < now() - :patience
"""
_OPEN = "SELECT severity, count(*) AS alerts FROM alert WHERE state <> 'resolved' GROUP BY severity"
_WAITING = "SELECT count(*) FROM delivery WHERE state IN ('pending', 'sending')"
_LAST = "SELECT max(evaluated_at) FROM alert_state"


@dataclass(frozen=True)
class WatchFigures:
    """`overdue`: watches not evaluated for five minutes. `open_alerts` by severity; `waiting` deliveries."""

    overdue: int
    open_alerts: dict[str, int]
    waiting: int
    evaluated_at: datetime | None


def count_overdue(session: Session) -> int:
    """Return how many enabled rules of active deployments nobody has evaluated for five minutes."""
    return int(session.execute(text(_OVERDUE), {"patience": PATIENCE}).scalar_one())


def read_figures(session: Session) -> WatchFigures:
    """Return the figures as of now."""
    return WatchFigures(
        overdue=count_overdue(session),
        open_alerts={row.severity: row.alerts for row in session.execute(text(_OPEN))},
        waiting=int(session.execute(text(_WAITING)).scalar_one()),
        evaluated_at=session.execute(text(_LAST)).scalar_one(),
    )
