"""Evaluating an alert rule on request: what the next evaluation would see and do, and why. Nothing is kept or sent."""

import uuid
from datetime import datetime

from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.auth import Principal, requires
from api.schemas.evaluations import RuleEvaluation, WatchEvaluation
from monitoring import alerting, rules
from monitoring.store.alert_rules import find_rule
from monitoring.store.circumstances import read_circumstances
from monitoring.store.clock import database_time
from monitoring.store.database import Database
from monitoring.store.readings import Wanted, measure
from monitoring.store.watches import Watch, list_watches, windows_wanted


@post(
    "/api/mlops/alert-rules/{rule_id:uuid}/evaluate",
    operation_id="EvaluateAlertRule",
    summary="Evaluate an alert rule now",
    tags=["alert rules"],
    guards=[requires("write")],
    status_code=200,
    sync_to_thread=True,
)
def evaluate_alert_rule(
    rule_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> RuleEvaluation:
    """Measure and judge now, for a disabled rule too, and explain; no state moves and nothing is sent."""
    with database.transaction() as session:
        row = find_rule(session, rule_id)
        principal.require_project(row.project_id, kind="alert rule", identifier=rule_id)
        now = database_time(session)
        watches = list_watches(session, rule_id=rule_id)
    return RuleEvaluation(rule_id, row.is_enabled, now, _evaluate(database, watches, now))


def _evaluate(database: Database, watches: list[Watch], now: datetime) -> list[WatchEvaluation]:
    wanted = [Wanted(*window, metrics) for window, metrics in windows_wanted(watches).items()]
    readings = measure(database, wanted, now)
    with database.transaction() as session:
        circumstances = read_circumstances(session, watches, now=now)
    found = []
    for watch, around in zip(watches, circumstances, strict=True):
        reading = readings[watch.deployment_id, watch.rule.window_minutes].read(watch.rule.metric, watch.rule.feature)
        verdict = rules.judge(watch.rule, reading)
        step = alerting.evaluate(watch.rule, watch.state, verdict, around)
        found.append(WatchEvaluation.of(watch, verdict, step))
    return found
