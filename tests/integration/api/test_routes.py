"""Every route of the app, by its own route table: guarded, bounded by scope and by project.

A new route that says nothing of its scope, or whose resource no rule here covers, fails these tests.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from sqlmodel import Session

from monitoring.store.keys import SCOPES, create_key
from monitoring.store.tables import Artifact, Deployment, Job, Model, Project
from tests.integration.alerts.furnishing import furnish_watch
from tests.integration.api.conftest import Installation, client_of, installed
from tests.integration.privacy.furnishing import furnish_privacy

OPEN = {"/health/live", "/health/ready", "/metrics"}
COLLECTIONS = {  # routes without an id, and what a key of one project, with every scope, is answered
    "ListProjects": 200,
    "CreateProject": 403,
    "ListModels": 200,
    "ListApiKeys": 200,
    "CreateApiKey": 201,
    "CreatePrivacyPolicy": 404,  # in a project that is not the key's
    "ListPrivacyPolicies": 200,
    "ListPiiTypes": 200,
}
BY_NAME = ("project_id", "model_id", "deployment_id", "job_id", "key_id")
BY_NAME += ("channel_id", "rule_id", "alert_id", "silence_id", "delivery_id")
BY_NAME += ("policy_id", "privacy_rule_id", "privacy_version_id")
RULE = {"name": "x", "metric": "error_rate", "operator": "gt", "threshold": 1, "severity": "info", "channels": []}
CHANNEL = {"name": "x", "type": "email", "config": {"to": ["x@example.org"]}}
PRIVACY_RULE = {"pii_type": "us_ssn", "action": "redact"}
SILENCE = {"matchers": {"severity": "info"}, "ends_at": "2126-01-01T00:00:00Z"}
FORM = {"file": ("f", b"x"), "reference": ("r", b"y")}
BODIES: dict[str, dict[str, Any]] = {
    "CreateApiKey": {"json": {"name": "x", "scopes": ["read"]}},
    "CreateProject": {"json": {"name": "x"}},
    "UpdateProject": {"json": {"name": "x"}},
    "ImportModel": {"files": FORM},
    "PredictByModel": {"json": {"inputs": {}}},
    "CreateDeployment": {"json": {"model_id": str(uuid.uuid4()), "name": "x", "stage": "staging"}},
    "PromoteDeployment": {"json": {"to_stage": "production"}},
    "RollBackDeployment": {"json": {"to_model_id": str(uuid.uuid4())}},
    "DeactivateDeployment": {},
    "Predict": {"json": {"inputs": {}}},
    "PredictByProject": {"json": {"inputs": {}}},
    "RunDrift": {"json": {}},
    "CancelJob": {},
    "CreateChannel": {"json": CHANNEL},
    "ReplaceChannel": {"json": CHANNEL},
    "UpdateChannel": {"json": {"name": "x"}},
    "TestChannel": {},
    "CreateAlertRule": {"json": RULE},
    "ReplaceAlertRule": {"json": RULE},
    "UpdateAlertRule": {"json": {"name": "x"}},
    "EvaluateAlertRule": {},
    "AcknowledgeAlert": {},
    "ResolveAlert": {},
    "RetryDelivery": {},
    "CreateSilence": {"json": SILENCE},
    "ReplaceSilence": {"json": SILENCE},
    "CreatePrivacyPolicy": {"json": {"project_id": str(uuid.uuid4()), "name": "x"}},
    "UpdatePrivacyPolicy": {"json": {"name": "x"}},
    "PreviewPrivacyPolicy": {"json": {"inputs": {}}},
    "CreatePrivacyRule": {"json": PRIVACY_RULE},
    "ReplacePrivacyRule": {"json": PRIVACY_RULE},
    "SendFeedback": {"json": {"items": [{"inference_id": str(uuid.uuid4()), "actual": "yes"}]}},
}


@dataclass(frozen=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    handler: HTTPRouteHandler

    @property
    def operation(self) -> str:
        """The operation's id."""
        return str(self.handler.operation_id)

    @property
    def scope(self) -> str | None:
        """The scope its guard asks for."""
        scopes = [getattr(guard, "__pilothouse_scope__", None) for guard in self.handler.resolve_guards()]
        return next((scope for scope in scopes if scope), None)

    def body(self) -> dict[str, Any]:
        """What a right request carries."""
        return {} if self.method in {"GET", "DELETE"} else BODIES[self.operation]


@dataclass(frozen=True)
class Room:
    """A project with a resource of every kind, and a key to it."""

    key: str
    ids: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def installation(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(module_database_url, tmp_path_factory.mktemp("home")) as made:
        yield made


def routes_of(installation: Installation) -> list[Route]:
    """Return every method of every path, but for OPTIONS, which only lists methods."""
    return [
        Route(method, route.path_format or "/", handler)
        for route in installation.app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    ]


def guarded_routes(installation: Installation) -> list[Route]:
    """Return the routes that need a key."""
    return [
        route
        for route in routes_of(installation)
        if route.path not in OPEN and not (route.path + "/").startswith("/schema/")
    ]


def _furnish(session: Session, name: str) -> Room:
    project = Project(name=name)
    artifact = Artifact(sha256=uuid.uuid4().hex * 2, size_bytes=0)
    session.add_all([project, artifact])
    session.flush()
    model = Model(
        project_id=project.id,
        name="m",
        algo="gbm",
        category="Binomial",
        features=[],
        mojo_sha256=artifact.sha256,
        reference_rows=1,
        metrics={},
        parameters={},
    )
    session.add(model)
    session.flush()
    deployment = Deployment(
        project_id=project.id,
        model_id=model.id,
        name="d",
        stage="archived",
        status="inactive",
        config={"traffic_percent": 100},
    )
    session.add(deployment)
    session.flush()
    job = Job(id=uuid.uuid4(), kind="drift", project_id=project.id, deployment_id=deployment.id, status="succeeded")
    session.add(job)
    row, text = create_key(session, name="all", scopes=SCOPES, project_id=project.id)
    watch, privacy = furnish_watch(session, deployment), furnish_privacy(session, project.id)
    ids = {
        "project_id": str(project.id),
        "model_id": str(model.id),
        "deployment_id": str(deployment.id),
        "job_id": str(job.id),
        "key_id": row.id,
        **watch,
        **privacy,
    }
    return Room(text, ids)


@pytest.fixture(scope="module")
def rooms(installation: Installation) -> tuple[Room, Room]:
    """Two projects, each with a key that holds every scope in it."""
    with installation.database.transaction() as session:
        return _furnish(session, "ours"), _furnish(session, "theirs")


def call(installation: Installation, route: Route, key: str | None, ids: dict[str, str]) -> httpx.Response:
    """Call a route about the resources in `ids`."""
    with client_of(installation.base_url, key) as client:
        return client.request(route.method, route.path.format(**ids), **route.body())


def test_every_route_has_a_scope_and_an_operation_id_of_its_own(installation: Installation) -> None:
    routes = guarded_routes(installation)
    assert len(routes) > 10
    assert [route for route in routes if route.scope not in SCOPES] == []
    operations = [route.operation for route in routes]
    assert sorted(set(operations)) == sorted(operations)


def test_reading_asks_for_read_and_changing_for_more(installation: Installation) -> None:
    for route in guarded_routes(installation):
        if "/auth/" in route.path:
            assert route.scope == "admin", route
        elif route.path.endswith("/predict"):
            assert route.scope == "predict", route
        else:
            assert route.scope == ("read" if route.method == "GET" else "write"), route


def test_no_key_no_answer(installation: Installation, rooms: tuple[Room, Room]) -> None:
    for route in guarded_routes(installation):
        answer = call(installation, route, None, rooms[0].ids)
        assert answer.status_code == 401, (route, answer.text)


def test_a_key_without_the_scope_is_refused(installation: Installation, rooms: tuple[Room, Room]) -> None:
    with installation.database.transaction() as session:
        lacking = {
            scope: create_key(session, name="x", scopes=[other for other in SCOPES if other not in (scope, "admin")])[1]
            for scope in SCOPES
        }
    for route in guarded_routes(installation):
        answer = call(installation, route, lacking[str(route.scope)], rooms[0].ids)
        assert answer.status_code == 403, (route, answer.text)


def test_another_projects_resources_are_not_there(installation: Installation, rooms: tuple[Room, Room]) -> None:
    ours, theirs = rooms
    for route in guarded_routes(installation):
        if "{" not in route.path:
            continue
        answer = call(installation, route, ours.key, theirs.ids)
        assert answer.status_code == 404, (route, answer.status_code, answer.text)
        nowhere = dict.fromkeys(theirs.ids, str(uuid.uuid4())) | {"key_id": "0" * 12}
        unknown = call(installation, route, ours.key, nowhere)
        assert unknown.status_code == 404, (route, unknown.text)
        assert unknown.json()["detail"].split()[:-1] == answer.json()["detail"].split()[:-1], route


def test_routes_without_an_id_keep_to_the_keys_project(installation: Installation, rooms: tuple[Room, Room]) -> None:
    ours, theirs = rooms
    for route in guarded_routes(installation):
        if "{" in route.path:
            continue
        answer = call(installation, route, ours.key, {})
        assert answer.status_code == COLLECTIONS[route.operation], (route, answer.text)
        for identifier in theirs.ids.values():
            assert identifier not in answer.text, route
        if route.method == "GET":
            assert answer.json()["items"], route


def test_the_owner_still_finds_everything(installation: Installation, rooms: tuple[Room, Room]) -> None:
    """What strangers tried above changed nothing."""
    theirs = rooms[1]
    missing = {"GetDriftReport"}  # none was drawn
    for route in guarded_routes(installation):
        if route.method == "GET" and route.operation not in missing:
            answer = call(installation, route, theirs.key, theirs.ids)
            assert answer.status_code == 200, (route, answer.text)


def test_options_lists_every_method_of_a_path(installation: Installation) -> None:
    paths: dict[str, set[str]] = {}
    for route in guarded_routes(installation):
        paths.setdefault(route.path, {"OPTIONS"}).add(route.method)
    with client_of(installation.base_url) as client:
        for path, methods in paths.items():
            answer = client.options(path.format(**dict.fromkeys(BY_NAME, str(uuid.uuid4()))))
            assert set(answer.headers["allow"].split(", ")) == methods, path
