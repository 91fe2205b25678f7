"""A project whose callers send personal data by every route there is."""

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.h2o_models import TrainedModel
from tests.integration.privacy.canaries import Canary

TEXTS = ("plan", "code", "rate", "active", "flag", "Case")  # categories, of which any text is one
NUMBER = "x0"
PROVEN_NUMBERS = {"credit_card_number"}  # what others prove by check digits, one JSON number in ten or thirty has too
JSON = {"Content-Type": "application/json"}


@dataclass
class Story:
    """Calls as admin; `answers` holds every answer to a request to a deployment that masks."""

    client: httpx.Client
    trained: TrainedModel
    answers: list[str] = field(default_factory=list)
    project_id: str = ""
    model_id: str = ""

    def open(self) -> None:
        """Make the project and import the model with its reference."""
        self.project_id = self.done("POST", "/api/projects", json={"name": "Canaries"})["project_id"]
        with self.trained.mojo.open("rb") as mojo, self.trained.reference.open("rb") as reference:
            made = self.client.post(
                f"/api/projects/{self.project_id}/models",
                files={"file": mojo, "reference": reference},
                data={"name": "m", "target": self.trained.target},
            )
        self.model_id = made.raise_for_status().json()["model_id"]

    def policy(self, profile: str = "gdpr", status: str = "active") -> str:
        body = {"project_id": self.project_id, "name": str(uuid.uuid4()), "profile": profile, "status": status}
        made = self.done("POST", "/api/privacy/policies", json=body)
        return str(made.get("policy_id") or made.get("id") or made["policy"]["id"])

    def deploy(self, stage: str = "staging", **privacy: Any) -> str:
        body = {"model_id": self.model_id, "name": str(uuid.uuid4()), "stage": stage, **privacy}
        made = self.done("POST", f"/api/mlops/projects/{self.project_id}/deployments", json=body)
        assert made["status"] == "active"
        return str(made["deployment_id"])

    def done(self, method: str, path: str, **said: Any) -> Any:
        answer = self.client.request(method, path, **said)
        assert answer.is_success, answer.text
        return answer.json()

    def predict(self, deployment: str, inputs: Any, *, status: int = 200, **options: Any) -> Any:
        """Ask a deployment that masks, and keep what it answers."""
        path = f"/api/mlops/deployments/{deployment}/predict"
        return self.send(path, json.dumps({"inputs": inputs, "options": options}), status=status)

    def send(self, path: str, body: str, *, status: int) -> Any:
        answer = self.client.post(path, content=body.encode(), headers=JSON)
        assert answer.status_code == status, (body[:500], answer.text[:2000])
        self.answers.append(answer.text)
        return answer.json()

    def row(self, **values: Any) -> dict[str, Any]:
        """Return a row that the model answers, with these values in it and no column whose name tells something."""
        plain = {name: value for name, value in self.trained.rows[0].items() if name not in {"city", "age"}}
        return plain | values

    def plant_unmapped(self, deployment: str, recognised: Sequence[Canary]) -> None:
        """Send what is recognised by itself, in every place of a body where a value can stand."""
        by_project = f"/api/mlops/projects/{self.project_id}/predict"
        for place, canary in enumerate(recognised):
            self.predict(deployment, self.row(plan=canary.value))
            self.predict(deployment, self.row(code=f"Please ask {canary.value} about it."))
            self.send(by_project, json.dumps({"inputs": self.row(plan=canary.value)}), status=200)
            for refused in list(_refused(canary))[: None if place % 4 == 0 else 3]:
                self.predict(deployment, self.row(**refused), status=422)
            if canary.pii_type in PROVEN_NUMBERS:
                self.predict(deployment, self.row(**{NUMBER: canary.number}))
        rows = [self.row(flag=canary.value) for canary in recognised]
        self.predict(deployment, rows, include_contributions=True)
        self.predict(deployment, rows * 40)  # large enough for a thread
        self.predict(deployment, [*rows, {NUMBER: "no number"}], status=422)
        self.predict(deployment, rows, store_payload=False)
        self._plant_in_odd_bodies(deployment, recognised[::8])

    def _plant_in_odd_bodies(self, deployment: str, recognised: Sequence[Canary]) -> None:
        path = f"/api/mlops/deployments/{deployment}/predict"
        by_project = f"/api/mlops/projects/{self.project_id}/predict"
        for canary in recognised:
            value = json.dumps(canary.value)
            self.send(path, f'{{"inputs": {{"plan": {value}, "x1": NaN}}}}', status=422)
            self.send(path, f'{{"inputs": {{"plan": {value}, "x1": 1e999}}}}', status=422)
            self.send(path, f'{{"inputs": {{"plan": {value}, "plan": "basic"}}}}', status=200)
            self.send(path, f'{{"inputs": {{"plan": {value}', status=422)
            self.send(path, f'{{"inputs": {value}}}', status=422)
            self.send(path, f'{{"inputs": [{value}]}}', status=422)
            self.send(path, f'{{"inputs": {{}}, {value}: 1}}', status=422)
            self.send(path, f'{{"inputs": {{}}, "options": {{{value}: 1}}}}', status=422)
            self.send(path, f'{{"inputs": {{}}, "options": {{"privacy_policy_id": {value}}}}}', status=422)
            self.send(path, f'{{"inputs": {{}}, "options": {{"anonymize_logs": {value}}}}}', status=422)
            self.send(by_project, f'{{"inputs": {{}}, "options": {{"routing_key": {value}}}}}', status=200)
        long = " ".join(canary.value for canary in recognised) + " padding" * 20_000
        self.predict(deployment, self.row(plan=long))

    def plant_mapped(self, canaries: Sequence[Canary], **privacy: Any) -> Iterator[tuple[Canary, str, str]]:
        """Send each in a column mapped to its type; yield it with the deployment and the column."""
        for first in range(0, len(canaries), len(TEXTS)):
            columns = dict(zip(TEXTS, canaries[first:], strict=False))
            column_map = {column: canary.pii_type for column, canary in columns.items()}
            deployment = self.deploy(privacy_column_map=column_map, **privacy)
            row = self.row(**{column: canary.value for column, canary in columns.items()})
            self.predict(deployment, row)
            self.predict(deployment, [row, row], include_contributions=True)
            self.predict(deployment, row | {NUMBER: "no number"}, status=422)
            yield from ((canary, deployment, column) for column, canary in columns.items())

    def plant_by_name(self, deployment: str, canaries: Sequence[Canary]) -> None:
        """Send each in a column that the model does not know but whose name tells its type."""
        for canary in canaries:
            self.predict(deployment, self.row(**{f"customer_{canary.pii_type}": canary.value}), status=422)
        by_name = {f"customer_{canary.pii_type}": canary.value for canary in canaries}
        self.predict(deployment, [self.row(), by_name], status=422)

    def logged(self, deployment: str, status: int = 200) -> list[dict[str, Any]]:
        """Return the newest log rows of a deployment, and keep how they are shown."""
        path = f"/api/mlops/deployments/{deployment}/inference-logs?limit=500&status_code={status}"
        answer = self.client.get(path).raise_for_status()
        self.answers.append(answer.text)
        rows: list[dict[str, Any]] = answer.json()["items"]
        return rows


def _refused(canary: Canary) -> Iterator[dict[str, Any]]:
    value = canary.value
    if not canary.is_numeric:
        yield {NUMBER: value}
    yield {"unknown": value}
    yield {value: 1}
    yield {"plan": {"deep": value}}
    yield {"plan": [value]}
    yield {"plan": {value: 1}}
    yield {NUMBER: [value]}
