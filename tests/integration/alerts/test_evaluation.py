"""Evaluating a rule on request: what it sees and would do, and that it does nothing."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from monitoring.store.database import Database
from monitoring.store.tables import Deployment, Model
from tests.integration.alerts.conftest import MakeRule
from tests.integration.alerts.furnishing import add_alert, add_deployment

STALE = {"metric": "model_staleness", "operator": "gt", "threshold": 90}


def in_production(database: Database, project_id: str) -> str:
    """Store a deployment in production whose model was trained 100 days ago."""
    with database.transaction() as session:
        deployment_id = add_deployment(session, project_id, stage="production", status="active")
        model = session.get_one(Model, session.get_one(Deployment, deployment_id).model_id)
        model.trained_at = datetime.now(UTC) - timedelta(days=100)
        session.add(model)
    return str(deployment_id)


def evaluate(client: httpx.Client, rule: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.post(f"/api/mlops/alert-rules/{rule['id']}/evaluate")
    assert answer.status_code == 200, answer.text
    assert answer.json()["rule_id"] == rule["id"]
    return list(answer.json()["items"])


def test_it_explains_and_keeps_nothing(
    client: httpx.Client, database: Database, project_id: str, make_rule: MakeRule
) -> None:
    deployment_id = in_production(database, project_id)
    rule = make_rule(**STALE)
    (seen,) = evaluate(client, rule)
    assert 99.9 < seen.pop("value") < 100.1
    assert "> 90" in seen.pop("verdict")
    assert seen.pop("detail")
    assert seen == {
        "deployment_id": deployment_id,
        "deployment_name": "d",
        "metric": "model_staleness",
        "feature": None,
        "samples": None,
        "outcome": "breach",
        "phase_now": "ok",
        "phase_next": "firing",
        "would_notify": "firing",
        "reason": "fired",
    }
    assert client.get(f"/api/mlops/alert-rules/{rule['id']}").json()["states"] == []
    assert client.get(f"/api/mlops/alert-rules/{rule['id']}/history").json()["total"] == 0
    assert client.get(f"/api/mlops/projects/{project_id}/alerts").json()["total"] == 0


def test_each_answer_has_its_reason(
    client: httpx.Client, database: Database, project_id: str, make_rule: MakeRule
) -> None:
    assert evaluate(client, make_rule(**STALE)) == []  # nothing is in production
    in_production(database, project_id)

    def reason_of(**said: Any) -> tuple[str, str, str, str | None]:
        (seen,) = evaluate(client, make_rule(**(STALE | said)))
        return seen["outcome"], seen["reason"], seen["phase_next"], seen["would_notify"]

    assert reason_of(threshold=101) == ("clear", "below_threshold", "ok", None)
    assert reason_of(for_minutes=5) == ("breach", "pending", "pending", None)
    assert reason_of(is_enabled=False) == ("breach", "fired", "firing", "firing")
    assert reason_of(metric="error_rate") == ("no_data", "no_data", "ok", None)
    assert reason_of(metric="error_rate", no_data="alert") == ("no_data", "fired", "firing", "firing")
    silence = {"matchers": {"rule": "hushed"}, "ends_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    client.post(f"/api/mlops/projects/{project_id}/silences", json=silence).raise_for_status()
    (hushed,) = evaluate(client, make_rule(**STALE, name="hushed"))
    assert (hushed["reason"], hushed["phase_next"], hushed["would_notify"]) == ("fired", "firing", None)
    assert "silence" in hushed["detail"]


def test_it_starts_from_where_the_rule_stands(
    client: httpx.Client, database: Database, project_id: str, make_rule: MakeRule
) -> None:
    deployment_id = in_production(database, project_id)
    rule = make_rule(**(STALE | {"threshold": 365}), cooldown_minutes=1)
    with database.transaction() as session:
        add_alert(session, rule, uuid.UUID(deployment_id))
    (seen,) = evaluate(client, rule)
    assert (seen["phase_now"], seen["phase_next"], seen["would_notify"]) == ("firing", "ok", "resolved")
    (state,) = client.get(f"/api/mlops/alert-rules/{rule['id']}").json()["states"]
    assert state["phase"] == "firing"
