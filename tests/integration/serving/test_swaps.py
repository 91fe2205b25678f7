"""Swaps under fire: production changes hands by concurrent calls while predictions run through it."""

import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from api.app import create_app
from api.scoring.routing import Routes
from api.settings import Settings
from monitoring.store.database import Database
from tests.integration.api.conftest import client_of
from tests.integration.api.serving import served
from tests.integration.serving.breaking import until_true
from tests.integration.serving.conftest import AddModel, Deploy
from tests.integration.serving.test_deployments import act, look, promote
from tests.integration.serving.test_predictions import PROSTATE, ask

INPUTS = {name: PROSTATE[name] for name in ("AGE", "RACE", "DPROS", "DCAPS", "VOL", "GLEASON")}


@pytest.fixture
def second_url(settings: Settings, client: httpx.Client) -> Iterator[str]:
    """The address of a second API over the same database."""
    assert client.get("/health/live").status_code == 200
    with served(create_app(settings)) as url:
        yield url


@pytest.fixture
def urls(base_url: str, second_url: str) -> list[str]:
    """The addresses of two APIs over one database."""
    return [base_url, second_url]


@pytest.fixture
def models(add_model: AddModel, deploy: Deploy) -> list[str]:
    """Three models that take the same inputs; the first is in production."""
    stored = [add_model("gbm_binomial"), add_model("gbm_binomial"), add_model("gbm_regression")]
    deploy(stage="production", model_id=stored[0])
    return stored


@contextmanager
def predicting(urls: list[str], key: str, project_id: str) -> Iterator[Counter[Any]]:
    """Send predictions to the project without pause while the block runs; yield the answers' statuses, counted."""
    stop, statuses = threading.Event(), Counter[Any]()

    def send(url: str) -> None:
        with client_of(url, key) as caller:
            while not stop.is_set():
                answer = caller.post(f"/api/mlops/projects/{project_id}/predict", json={"inputs": INPUTS})
                statuses[answer.status_code] += 1
                if answer.status_code != 200:
                    statuses[answer.text] += 1

    with ThreadPoolExecutor(2 * len(urls)) as threads:
        senders = [threads.submit(send, url) for url in urls * 2]
        try:
            yield statuses
        finally:
            stop.set()
        for sender in senders:
            sender.result()


def storm(
    urls: list[str], key: str, project_id: str, models: list[str], seed: int
) -> Callable[[], Counter[tuple[str, int]]]:
    """Return a worker that makes random changes and counts what they answered."""

    def run() -> Counter[tuple[str, int]]:
        rng, answers = random.Random(seed), Counter[tuple[str, int]]()
        with client_of(urls[seed % len(urls)], key) as caller:
            for _ in range(12):
                found = caller.get(f"/api/mlops/projects/{project_id}/deployments", params={"limit": 200}).json()
                target = rng.choice(found["items"])["id"]
                action = rng.choice(["create", "stage", "promote", "promote", "rollback", "rollback to model"])
                body = {"model_id": rng.choice(models), "name": "storm"}
                if action in {"create", "stage"}:
                    body["stage"] = "production" if action == "create" else "staging"
                    answer = caller.post(f"/api/mlops/projects/{project_id}/deployments", json=body)
                elif action == "promote":
                    answer = act(caller, target, "promote", to_stage="production")
                elif action == "rollback":
                    answer = act(caller, found["items"][0]["id"], "rollback", to_deployment_id=target)
                else:
                    answer = act(caller, target, "rollback", to_model_id=body["model_id"])
                answers[action, answer.status_code] += 1
        return answers

    return run


def test_no_prediction_fails_while_production_changes_hands(
    client: httpx.Client, urls: list[str], admin_key: str, project_id: str, database: Database, models: list[str]
) -> None:
    with predicting(urls, admin_key, project_id) as statuses, ThreadPoolExecutor(6) as threads:
        running = [threads.submit(storm(urls, admin_key, project_id, models, seed)) for seed in range(6)]
        answers = sum((each.result() for each in running), Counter[tuple[str, int]]())
    assert {status for _, status in answers} <= {200, 201, 409}
    assert set(statuses) == {200}, statuses
    assert statuses[200] > 50
    items = client.get(f"/api/mlops/projects/{project_id}/deployments", params={"limit": 200}).json()["items"]
    assert [item["status"] for item in items if item["stage"] == "production"] == ["active"]
    assert all(item["status"] == "inactive" for item in items if item["stage"] == "archived")
    assert_the_audit_log_explains_each_state(database, project_id)


def test_routes_that_are_always_outdated_fail_no_prediction(
    app: Litestar, client: httpx.Client, project_id: str, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast production changes hands, the database always knows who has it."""
    archived, present = deploy(stage="production"), deploy(stage="production")

    async def outdated(_: uuid.UUID) -> Routes:
        return Routes(uuid.UUID(archived["deployment_id"]), [])

    monkeypatch.setattr(app.state.serving.registry, "routes", outdated)
    path = f"/api/mlops/projects/{project_id}/predict"
    for _ in range(3):
        answer = client.post(path, json={"inputs": INPUTS})
        assert (answer.status_code, answer.json()["deployment_id"]) == (200, present["deployment_id"])
    act(client, present, "deactivate")
    assert client.post(path, json={"inputs": INPUTS}).status_code == 409


def assert_the_audit_log_explains_each_state(database: Database, project_id: str) -> None:
    """Replay the log: each event starts from what the last one about its deployment left, and the end is what is."""
    with database.transaction() as session:
        events = session.execute(
            text(
                "SELECT subject_id, before, after FROM audit_event "
                "WHERE project_id = :id AND subject_type = 'deployment' ORDER BY id"
            ),
            {"id": uuid.UUID(project_id)},
        ).all()
        rows = session.execute(
            text("SELECT id, stage, status FROM deployment WHERE project_id = :id"), {"id": uuid.UUID(project_id)}
        ).all()
    states: dict[str, Any] = {}
    histories: dict[str, list[Any]] = {}
    for subject_id, before, after in events:
        histories.setdefault(subject_id, []).append((before, after))
    for subject_id, changes in histories.items():
        state = None
        remaining = list(changes)
        while remaining:  # ids of one millisecond may not be in the order of their transactions
            step = next(change for change in remaining if change[0] == state)
            remaining.remove(step)
            state = step[1]
        states[subject_id] = state
    assert {str(row.id): (row.stage, row.status) for row in rows} == {
        subject_id: (state["stage"], state["status"]) for subject_id, state in states.items()
    }


def test_racing_deactivations_and_promotions_have_one_winner_each(
    base_url: str, admin_key: str, client: httpx.Client, project_id: str, deploy: Deploy
) -> None:
    deploy(stage="production")
    staged = [deploy() for _ in range(4)]

    def race(step: int) -> tuple[str, int]:
        with client_of(base_url, admin_key) as caller:
            target = staged[step % 4]
            if step % 2:
                return "deactivate", act(caller, target, "deactivate").status_code
            return "promote", promote(caller, target).status_code

    with ThreadPoolExecutor(8) as threads:
        answers = Counter(threads.map(race, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]))
    assert answers["deactivate", 200] == 2
    assert answers["deactivate", 409] == 4
    items = client.get(f"/api/mlops/projects/{project_id}/deployments").json()["items"]
    assert [item["status"] for item in items if item["stage"] == "production"] == ["active"]


def test_a_superseded_deployment_answers_409_at_once_where_the_change_was_made(
    client: httpx.Client, deploy: Deploy
) -> None:
    present = deploy(stage="production")
    for _ in range(5):
        next_one = deploy()
        assert ask(client, present, PROSTATE).status_code == 200
        promote(client, next_one).raise_for_status()
        assert ask(client, present, PROSTATE).status_code == 409
        assert ask(client, next_one, PROSTATE).status_code == 200
        present = next_one


def test_another_process_hears_of_a_change(
    client: httpx.Client, second_url: str, admin_key: str, deploy: Deploy
) -> None:
    made = deploy()
    with client_of(second_url, admin_key) as other:
        assert ask(other, made, PROSTATE).status_code == 200
        act(client, made, "deactivate").raise_for_status()
        until_true(lambda: ask(other, made, PROSTATE).status_code == 409)


def test_what_went_unheard_counts_after_the_connection_is_back(
    client: httpx.Client, second_url: str, admin_key: str, database: Database, deploy: Deploy
) -> None:
    """A change made behind every listener's back, then the connections cut: all is read anew."""
    made = deploy()
    with client_of(second_url, admin_key) as other:
        assert ask(other, made, PROSTATE).status_code == 200
        with database.transaction() as session:
            session.execute(
                text("UPDATE deployment SET status = 'inactive', stage = 'archived' WHERE id = :id"),
                {"id": uuid.UUID(made["id"])},
            )
        assert ask(other, made, PROSTATE).status_code == 200
        with database.transaction() as session:
            session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'pilothouse-changes' AND datname = current_database()"
                )
            )
        until_true(lambda: ask(other, made, PROSTATE).status_code == 409)
        until_true(lambda: ask(client, made, PROSTATE).status_code == 409)
    assert look(client, made)["status"] == "inactive"


def test_active_deployments_are_loaded_before_anyone_asks(settings: Settings, deploy: Deploy) -> None:
    for name in ("gbm_binomial", "gbm_regression"):
        deploy(name)
    again = create_app(settings)
    with served(again):
        until_true(lambda: len(again.state.serving.registry) == 2)
