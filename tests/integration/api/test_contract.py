"""The server against its own OpenAPI document, by schemathesis: every operation, right and wrong requests."""

import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitoring.store.tables import Deployment
from tests.h2o_models import TrainedModels
from tests.integration.alerts.furnishing import furnish_watch
from tests.integration.api.conftest import Installation, client_of, installed
from tests.integration.api.test_models import send
from tests.integration.privacy.furnishing import furnish_privacy

BUDGET_S = 45
CHECKS = (  # all but `positive_data_acceptance`: what a field may not say can depend on the state, or on the clock
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
NOWHERE = uuid.UUID(int=0)
CONFIG = """
[parameters]
"path.project_id" = "{project}"
"path.model_id" = "{model}"
"path.deployment_id" = "{deployment}"
"path.channel_id" = "{channel_id}"
"path.rule_id" = "{rule_id}"
"path.alert_id" = "{alert_id}"
"path.silence_id" = "{silence_id}"
"path.delivery_id" = "{delivery_id}"
"path.policy_id" = "{policy_id}"
"path.privacy_rule_id" = "{privacy_rule_id}"
"path.privacy_version_id" = "{privacy_version_id}"

[[operations]]  # these would take the others' subjects away
include-operation-id = ["DeleteProject", "DeleteModel", "DeactivateDeployment"]
parameters = {{ "path.project_id" = "{nowhere}", "path.model_id" = "{nowhere}", "path.deployment_id" = "{nowhere}" }}

[[operations]]
include-operation-id = ["DeleteChannel", "DeleteAlertRule", "DeleteSilence"]
parameters = {{ "path.channel_id" = "{nowhere}", "path.rule_id" = "{nowhere}", "path.silence_id" = "{nowhere}" }}

[[operations]]
include-operation-id = ["DeletePrivacyPolicy", "DeletePrivacyRule"]
parameters = {{ "path.policy_id" = "{nowhere}", "path.privacy_rule_id" = "{nowhere}" }}

[[operations]]  # Prefect is away here, so a right answer is 503
include-operation-id = ["RunDrift", "CancelJob"]
checks = {{ not_a_server_error = {{ expected-statuses = ["2xx", "4xx", 503] }} }}
"""


@pytest.fixture(scope="module")
def installation(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(module_database_url, tmp_path_factory.mktemp("home")) as made:
        yield made


def furnish(installation: Installation, h2o_models: TrainedModels) -> dict[str, str]:
    """Make a project with a deployed model, and return their ids."""
    trained = h2o_models["gbm_binomial"]
    with client_of(installation.base_url, installation.admin_key) as client:
        project = client.post("/api/projects", json={"name": "x"}).json()["project_id"]
        model = send(client, project, file=trained.mojo, reference=trained.reference).json()["model_id"]
        body = {"model_id": model, "name": "d", "stage": "production"}
        made = client.post(f"/api/mlops/projects/{project}/deployments", json=body).raise_for_status()
        client.post(f"/api/mlops/deployments/{made.json()['id']}/predict", json={"inputs": trained.rows[:5]})
    deployment = made.json()["id"]
    with installation.database.transaction() as session:
        watch = furnish_watch(session, session.get_one(Deployment, uuid.UUID(deployment)))
        privacy = furnish_privacy(session, uuid.UUID(project))
    return {"project": project, "model": model, "deployment": deployment, **watch, **privacy}


@pytest.mark.timeout(240)
def test_the_server_keeps_to_its_document(
    installation: Installation, h2o_models: TrainedModels, tmp_path: Path
) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.format(**furnish(installation, h2o_models), nowhere=NOWHERE))
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run"),
            f"{installation.base_url}/schema/openapi.json",
            *("-H", f"Authorization: Bearer {installation.admin_key}"),
            *("--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing", "--max-examples", "10"),
            *("--max-time", str(BUDGET_S), "--generation-database", "none", "--warnings", "off", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    generated = re.search(r"(\d+) generated", done.stdout)
    assert tested is not None
    assert generated is not None
    assert int(tested[1]) > 25, done.stdout
    assert int(generated[1]) > 500, done.stdout


def test_the_document_is_whole(installation: Installation) -> None:
    with client_of(installation.base_url) as client:
        document = client.get("/schema/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"]["apiKey"] | {"description": ""} == {
        "type": "http",
        "scheme": "bearer",
        "description": "",
    }
    operations = [
        (path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()
    ]
    assert len(operations) > 25
    known_tags = {tag["name"] for tag in document["tags"]}
    for path, method, operation in operations:
        assert operation["description"], path
        assert operation["summary"], path
        assert set(operation["tags"]) <= known_tags, path
        is_open = path.startswith("/health") or path == "/metrics"
        assert operation["security"] == ([] if is_open else [{"apiKey": []}]), path
        assert "400" not in operation["responses"], path
        problems = [status for status in operation["responses"] if status >= "400" and not is_open]
        for status in problems:
            content = operation["responses"][status]["content"]
            assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}, path
        assert is_open or {"401", "403", "503"} <= set(problems), (method, path)
