"""Canaries of every type are sent by every route, and all that the installation kept and said is searched for them."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from api.privacy.catalogue import CATALOGUE
from flows.delivering import hand_over
from flows.evaluating import evaluate_rules
from flows.sending import Sender
from flows.settings import FlowSettings
from monitoring.counts import fold
from monitoring.measurement import measure
from monitoring.samples import read_sample
from monitoring.store.database import Database
from monitoring.store.drift_results import read_report, record_report, record_result
from monitoring.store.inference_rows import read_window
from monitoring.store.keys import create_key
from monitoring.store.reference_profiles import deployment_profile, deployment_sample
from monitoring.windows import trailing_window
from tests.drift_reports import render_report
from tests.h2o_models import TrainedModels
from tests.integration.api.conftest import client_of, module_database_url  # noqa: F401 - a fixture
from tests.integration.privacy.canaries import Canary, canaries
from tests.integration.privacy.evidence import (
    Search,
    leaks_in_database_files,
    leaks_in_folder,
    leaks_in_tables,
)
from tests.integration.privacy.processes import ApiProcess, api_process
from tests.integration.privacy.story import Story
from tests.integration.watch.receivers import Receiver, serving

_ROWS = "SELECT count(*), count(privacy_error), count(privacy_version_id) FROM inference_log"
CONTROL = "Kontrollvogel Zwetschge-4711"
CANARIES = canaries()
NAMED = [canary for canary in CANARIES if not CATALOGUE[canary.pii_type].is_map_only]


@dataclass(frozen=True)
class Told:
    """What is left after the story: where to search, and what was received and answered."""

    database_url: str
    process: ApiProcess
    answers: list[str]
    metrics: str
    received: list[Any]
    report: str
    mapped: list[tuple[Canary, dict[str, Any], str]]


def search(*, own_only: bool = False) -> Search:
    found = {trace: canary.pii_type for canary in CANARIES if canary.is_own or not own_only for trace in canary.traces}
    return Search(found | {CONTROL: "control"})


@pytest.fixture(scope="module")
def module_database(module_database_url: str) -> Iterator[Database]:  # noqa: F811
    opened = Database(module_database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def told(
    module_database: Database, h2o_models: TrainedModels, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    database = module_database
    with database.transaction() as session:
        key = create_key(session, name="admin", scopes=["admin"])[1]
    folder = tmp_path_factory.mktemp("canaries")
    with (
        api_process(database.url, folder) as process,
        client_of(process.base_url, key) as client,
        serving(Receiver()) as receiver,
    ):
        story = Story(client, h2o_models["gbm_binomial_20"])
        story.open()
        mapped, drawn = plant(story, receiver.url)
        report = watch(database, drawn)
        metrics = client.get("/metrics").text
        yield Told(
            database.url,
            process,
            story.answers,
            metrics,
            [each.body for each in receiver.received],
            report,
            mapped,
        )


def plant(story: Story, receiver_url: str) -> tuple[list[tuple[Canary, dict[str, Any], str]], list[str]]:
    """Send every canary by every route; return each mapped one with its log row and column, and deployments to draw."""
    recognised = [canary for canary in CANARIES if canary.is_recognised]
    policy = story.policy()
    production = story.deploy("production", privacy_policy_id=policy)
    add_alerting(story, receiver_url)
    story.plant_unmapped(production, recognised)
    story.plant_by_name(production, NAMED)
    planted = list(story.plant_mapped(CANARIES, privacy_policy_id=policy))
    story.plant_unmapped(story.deploy(privacy_anonymize_logs=True), recognised[:5])
    plant_overrides(story, policy, recognised)
    plant_elsewhere(story, production, policy)
    story.logged(production)
    story.logged(production, 422)
    mapped = [(canary, story.logged(deployment)[-1], column) for canary, deployment, column in planted]
    return mapped, [production, planted[0][1]]


def plant_overrides(story: Story, policy: str, recognised: list[Canary]) -> None:
    """Ask an unmasked deployment to mask, one request at a time; the control alone is sent without."""
    plain = story.deploy()
    for canary in recognised[::3]:
        row = story.row(plan=canary.value)
        story.predict(plain, row, anonymize_logs=True, anonymize_response=True)
        story.predict(plain, row, privacy_policy_id=policy, anonymize_logs=True, anonymize_response=True)
    story.client.post(
        f"/api/mlops/deployments/{plain}/predict", json={"inputs": story.row(plan=CONTROL)}
    ).raise_for_status()


def plant_elsewhere(story: Story, deployment: str, policy: str) -> None:
    """Send canaries to routes that answer them with masks, or with refusals, and keep nothing of them."""
    client = story.client
    by_column = {f"customer_{canary.pii_type}": canary.value for canary in NAMED}
    preview = story.done("POST", f"/api/privacy/policies/{policy}/preview", json={"inputs": by_column})
    story.answers.append(str(preview))
    for canary in CANARIES[::5]:
        item = {"inference_id": str(uuid.uuid4()), "actual": canary.value}
        client.post(f"/api/mlops/deployments/{deployment}/feedback", json={"items": [item]})
        item = {"inference_id": canary.value, "actual": "x"}
        client.post(f"/api/mlops/deployments/{deployment}/feedback", json={"items": [item]})
        client.post(f"/api/models/{story.model_id}/predict", json={"inputs": story.row(plan=canary.value, x1=[1])})
        client.get(f"/api/mlops/deployments/{deployment}/inference-logs", params={"since": canary.value})
        client.get(f"/api/mlops/deployments/{canary.value}/predict", headers={"X-Canary": ascii(canary.value)})
    stopped = story.deploy(privacy_policy_id=policy)
    story.done("POST", f"/api/mlops/deployments/{stopped}/deactivate")
    for canary in NAMED:
        story.predict(stopped, story.row(**{f"customer_{canary.pii_type}": canary.value}), status=409)


def add_alerting(story: Story, receiver_url: str) -> None:
    """Have a webhook told of everything that can be told, at once."""
    project = f"/api/mlops/projects/{story.project_id}"
    channel = {"name": "hook", "type": "webhook", "config": {"url": receiver_url}}
    channel_id = story.done("POST", f"{project}/channels", json=channel)["id"]
    for metric, feature in (("drift_psi", None), ("drift_psi", "plan"), ("error_rate", None)):
        rule = {"name": f"{metric} {feature}", "metric": metric, "operator": "gte", "threshold": 0.001}
        rule |= {"severity": "warning", "channels": [channel_id], "min_samples": 1}
        story.done("POST", f"{project}/alert-rules", json=rule | ({"feature": feature} if feature else {}))


def watch(database: Database, drawn: list[str]) -> str:
    """Evaluate the rules, tell of them, measure drift and draw Evidently's pages as the flows do; return the pages."""
    now = datetime.now(UTC)
    evaluate_rules(database, now)
    settings = FlowSettings(allowed_addresses="127.0.0.1")
    Sender(database, hand_over(settings), settings.notice_timeout_s).drain(seconds=20, patience_s=-1)
    return "\n".join(draw(database, uuid.UUID(deployment_id), now) for deployment_id in drawn)


def draw(database: Database, deployment_id: uuid.UUID, now: datetime) -> str:
    window = trailing_window(now, 60)
    with database.transaction() as session:
        profile = deployment_profile(session, deployment_id)
        reference = read_sample(deployment_sample(session, deployment_id))
    counts, sample = fold(profile, read_window(database.url, deployment_id, window, profile.features))
    assert sample is not None
    measurement = measure(profile, counts)
    html = render_report(profile, measurement, reference, sample)
    with database.transaction() as session:
        result = record_result(session, deployment_id, measurement, window, flow_run_id=None, computed_at=now)
        record_report(session, result, html)
    with database.transaction() as session:
        return read_report(session, deployment_id) or ""


def test_no_table_holds_one(told: Told) -> None:
    leaks = {what: place for place, what in leaks_in_tables(told.database_url, search())}
    assert leaks.keys() == {"control"}, leaks


def test_no_database_file_holds_one(told: Told) -> None:
    leaks = {what: place for place, what in leaks_in_database_files(told.database_url, search(own_only=True))}
    assert leaks.keys() == {"control"}, leaks


def test_no_row_went_without_its_inputs_because_masking_failed(told: Told, module_database: Database) -> None:
    del told
    with module_database.transaction() as session:
        rows, failed, masked = session.execute(text(_ROWS)).one()
    assert rows > masked > 1_000
    assert failed == 0


def test_the_home_folder_and_the_output_hold_none(told: Told) -> None:
    assert told.process.output.stat().st_size
    assert set(leaks_in_folder(told.process.home.parent, search())) == set()


def test_no_answer_notice_metric_or_page_holds_one(told: Told) -> None:
    found = {"metrics": search().find(told.metrics), "page": search().find(told.report)}
    found |= {f"notice {place}": search().find(str(body)) for place, body in enumerate(told.received)}
    assert told.received
    assert "<html" in told.report
    assert {place: what for place, what in found.items() if what} == {}
    assert {answer[:300]: what for answer in told.answers if (what := search().find(answer))} == {}


def test_each_mapped_value_is_changed_where_it_was_logged(told: Told) -> None:
    assert {canary.pii_type for canary, _, _ in told.mapped} == {canary.pii_type for canary in CANARIES}
    kept = {canary.pii_type: row["inputs"] for canary, row, column in told.mapped if _shows(row, column, canary)}
    assert kept == {}


def _shows(row: dict[str, Any], column: str, canary: Canary) -> bool:
    return row["inputs"] is None or canary.value in str(row["inputs"].get(column, ""))
