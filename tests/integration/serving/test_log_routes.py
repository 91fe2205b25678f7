"""The inference log over HTTP."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import MakeKey, client_of
from tests.integration.api.shared import FIXTURES
from tests.integration.serving.conftest import Deploy
from tests.integration.serving.test_deployments import NOWHERE
from tests.integration.serving.test_predictions import PROSTATE, ask

database_url, settings, app, base_url = FIXTURES


def read(client: httpx.Client, deployment: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    url = f"/api/mlops/deployments/{deployment['id']}/inference-logs"
    answer: dict[str, Any] = client.get(url, params=parameters).raise_for_status().json()
    return answer


def test_a_prediction_is_listed_as_it_was_answered(client: httpx.Client, deploy: Deploy) -> None:
    made = deploy()
    answer = ask(client, made, [PROSTATE, PROSTATE | {"AGE": 40}]).json()
    listed = read(client, made, limit=5)
    assert (listed["total"], listed["limit"], listed["offset"]) == (2, 5, 0)
    newest, oldest = listed["items"]
    assert [newest["id"], oldest["id"]] == answer["inference_ids"][::-1]
    assert oldest["inputs"] == PROSTATE
    assert oldest["deployment_id"] == made["id"]
    assert oldest["request_id"] == newest["request_id"]
    assert oldest["prediction"] == answer["predictions"][0]["prediction"]
    assert oldest["probabilities"] == list(answer["predictions"][0]["probabilities"].values())
    assert oldest["latency_ms"] == pytest.approx(answer["latency_ms"], rel=1e-3)
    assert (oldest["status_code"], oldest["error"]) == (200, None)
    assert oldest["created_at"].endswith("Z")


def test_a_regression_lists_its_value(client: httpx.Client, deploy: Deploy) -> None:
    made = deploy("gbm_regression")
    answer = ask(client, made, {"AGE": 65}).raise_for_status().json()
    [item] = read(client, made)["items"]
    assert item["prediction"] == item["score"] == answer["predictions"][0]["prediction"]
    assert item["probabilities"] is None


def test_failed_requests_are_listed_and_found_by_status(client: httpx.Client, deploy: Deploy) -> None:
    made = deploy()
    ask(client, made, PROSTATE)
    ask(client, made, {"AGE": "old"})
    assert read(client, made)["total"] == 2
    [failed] = read(client, made, status_code=422)["items"]
    assert (failed["prediction"], failed["score"], failed["inputs"]) == (None, None, {"AGE": "old"})
    assert "AGE" in failed["error"]
    assert read(client, made, status_code=500) == {"items": [], "total": 0, "limit": 50, "offset": 0}


def test_times_are_exclusive_and_may_come_in_any_zone(client: httpx.Client, deploy: Deploy) -> None:
    made = deploy()
    for _ in range(3):
        ask(client, made, PROSTATE)
    newest, middle, oldest = read(client, made)["items"]
    assert read(client, made, since=middle["created_at"])["items"] == [newest]
    assert read(client, made, until=middle["created_at"])["items"] == [oldest]
    between = read(client, made, since=oldest["created_at"], until=newest["created_at"])
    assert (between["items"], between["total"]) == ([middle], 1)
    instant = datetime.fromisoformat(middle["created_at"])
    ahead = (instant + timedelta(hours=2)).replace(tzinfo=None).isoformat() + "+02:00"
    assert read(client, made, since=ahead)["items"] == [newest]
    assert read(client, made, since=instant.replace(tzinfo=None).isoformat())["items"] == [newest]
    url = f"/api/mlops/deployments/{made['id']}/inference-logs?since={ahead}"  # the + unescaped, as curl sends it
    assert client.get(url).json()["items"] == [newest]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"offset": -1}, "offset"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-13-01"}, "until"),
        ({"since": "0001-01-01T00:00:00+05:00"}, "since"),
        ({"since": "a\x00b"}, "since"),
        ({"status_code": 99}, "status_code"),
        ({"status_code": "ok"}, "status_code"),
    ],
)
def test_a_wrong_parameter_is_refused(
    client: httpx.Client, deploy: Deploy, parameters: dict[str, Any], field: str
) -> None:
    made = deploy()
    refused = client.get(f"/api/mlops/deployments/{made['id']}/inference-logs", params=parameters)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == [field]


@pytest.mark.parametrize(
    "parameters",
    [
        {"since": "9999-12-31T23:59:59.999999Z"},
        {"until": "0001-01-01T00:00:00Z"},
        {"since": "2030-01-01", "until": "2020-01-01"},
        {"offset": 1_000_000_000},
    ],
)
def test_what_matches_nothing_is_an_empty_list(
    client: httpx.Client, deploy: Deploy, parameters: dict[str, Any]
) -> None:
    made = deploy()
    ask(client, made, PROSTATE)
    assert read(client, made, **parameters)["items"] == []


def test_the_log_belongs_to_those_who_may_read_the_project(
    client: httpx.Client, base_url: str, make_key: MakeKey, deploy: Deploy
) -> None:
    made = deploy()
    other = client.post("/api/projects", json={"name": "Other"}).json()["project_id"]
    url = f"/api/mlops/deployments/{made['id']}/inference-logs"
    with client_of(base_url, make_key("read", project=other)) as stranger:
        assert stranger.get(url).status_code == 404
    with client_of(base_url, make_key("predict")) as caller:
        assert caller.get(url).status_code == 403
    assert client.get(f"/api/mlops/deployments/{NOWHERE}/inference-logs").status_code == 404
    assert client.get(f"/api/mlops/deployments/{uuid.uuid4().hex[:5]}/inference-logs").status_code == 404
