"""Our client of Prefect's REST API against a real server."""

import uuid

import pytest

from api.prefect_api import FlowDeploymentMissing, FlowRunUnknown, PrefectApi, PrefectUnreachable
from tests.integration.flows.conftest import PrefectServer

PARAMETERS = {"deployment_id": str(uuid.UUID(int=1))}


@pytest.mark.usefixtures("paused_pool")
def test_a_key_enqueues_once(flow_deployments: PrefectServer, prefect_api: PrefectApi) -> None:
    first = prefect_api.start_run("train", "train", {"max_models": 1}, "one-key", name="named")
    assert prefect_api.start_run("train", "train", {"max_models": 1}, "one-key") == first
    assert flow_deployments.call("GET", f"/flow_runs/{first}")["parameters"]["max_models"] == 1
    assert prefect_api.cancel(first)
    assert prefect_api.run_state(first).status == "cancelled"


@pytest.mark.usefixtures("flow_deployments")
def test_what_the_server_does_not_know_is_said(prefect_api: PrefectApi) -> None:
    with pytest.raises(FlowDeploymentMissing):
        prefect_api.start_run("drift", "of-nobody", PARAMETERS, "key")
    with pytest.raises(FlowRunUnknown):
        prefect_api.run_state(uuid.uuid4())
    with pytest.raises(FlowRunUnknown):
        prefect_api.cancel(uuid.uuid4())


def test_a_flow_deployment_made_again_is_found_again(flow_deployments: PrefectServer, prefect_api: PrefectApi) -> None:
    drift = flow_deployments.flow_deployment("drift/drift")
    body = {"flow_id": drift["flow_id"], "name": "again", "entrypoint": drift["entrypoint"]}
    for key in ("before", "after"):
        made = flow_deployments.call("POST", "/deployments/", body)
        run = prefect_api.start_run("drift", "again", PARAMETERS, key)
        assert flow_deployments.call("GET", f"/flow_runs/{run}")["deployment_id"] == made["id"]
        flow_deployments.client.delete(f"/deployments/{made['id']}").raise_for_status()
    with pytest.raises(FlowDeploymentMissing):
        prefect_api.start_run("drift", "again", PARAMETERS, "gone")


def test_a_server_that_is_not_there_is_unreachable() -> None:
    away = PrefectApi("http://127.0.0.1:9/api")
    assert not away.is_healthy()
    with pytest.raises(PrefectUnreachable):
        away.run_state(uuid.uuid4())
