"""A queue that is full: predictions are told so at once, unread and uncharged, and all else goes on as ever."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
from litestar import Litestar
from sqlalchemy import text

from api.admission import Admission
from monitoring.store.database import Database
from tests.integration.api.raw_http import connected, read_answer, request
from tests.integration.serving.conftest import AddModel, Deploy

MB = 2**20
PROSTATE = {"AGE": 65, "RACE": "1", "DPROS": "2", "DCAPS": "1", "PSA": 1.4, "VOL": 0, "GLEASON": 6}


@contextmanager
def queue_full(app: Litestar) -> Iterator[Admission]:
    """Hold so much work at hand that nothing fits beside it."""
    admission: Admission = app.state.admission
    admission.at_hand += 1000
    admission.at_hand_s += 1.0
    yield admission
    admission.at_hand -= 1000
    admission.at_hand_s -= 1.0


def test_a_full_queue_turns_predictions_away_and_nothing_else(
    app: Litestar, client: httpx.Client, admin_key: str, database: Database, deploy: Deploy, project_id: str
) -> None:
    made = deploy(stage="production")
    path = f"/api/mlops/deployments/{made['deployment_id']}/predict"
    asked = request("POST", path, b'{"inputs": {"AGE": 65}}', key=admin_key)
    with connected(str(client.base_url)) as caller:
        caller.sendall(asked)
        assert read_answer(caller)[0] == 200
        with queue_full(app):
            caller.sendall(asked)
            status, headers, body = read_answer(caller)
            assert (status, headers["retry-after"]) == (503, "1")
            assert headers["content-type"] == "application/problem+json"
            assert b'"status":503' in body
            assert path.encode() in body
            for other in (f"/api/mlops/projects/{project_id}/predict", f"/api/models/{project_id}/predict"):
                assert client.post(other, json={"inputs": PROSTATE}).status_code == 503
            for answer in (client.get("/health/live"), client.get("/health/ready"), client.get("/api/projects")):
                assert answer.status_code == 200
        caller.sendall(asked)  # over the same connection
        assert read_answer(caller)[0] == 200
    metrics = client.get("/metrics").text
    assert re.search(r"^pilothouse_requests_shed_total(\{.*\})? 3\.0$", metrics, re.MULTILINE)
    assert client.get(f"/api/mlops/deployments/{made['deployment_id']}/inference-logs").json()["total"] == 2
    deadline = time.monotonic() + 20
    while (shed := _shed_in_ledger(database)) != 3:
        assert time.monotonic() < deadline, f"{shed} in the ledger"
        time.sleep(0.1)


def test_who_is_turned_away_in_a_row_is_answered_in_order(
    app: Litestar, client: httpx.Client, admin_key: str, deploy: Deploy
) -> None:
    """Thousands of requests sent at once over one connection, without a wait for answers."""
    path = f"/api/mlops/deployments/{deploy()['deployment_id']}/predict"
    asked = request("POST", path, b'{"inputs": {"AGE": 65}}', key=admin_key)
    with queue_full(app), connected(str(client.base_url)) as hasty, ThreadPoolExecutor(1) as sending:
        sent = sending.submit(hasty.sendall, 3000 * asked + request("GET", "/health/live", Connection="close"))
        taken = b""
        while part := hasty.recv(65536):
            taken += part
        sent.result()
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", taken)
    assert statuses == [b"503"] * 3000 + [b"200"]


def test_places_are_given_back_whatever_becomes_of_a_request(
    app: Litestar, client: httpx.Client, admin_key: str, deploy: Deploy, add_model: AddModel
) -> None:
    made = deploy()
    path = f"/api/mlops/deployments/{made['deployment_id']}/predict"
    rows = [PROSTATE] * 3000
    asked: list[tuple[str, object, int]] = [
        (path, {"inputs": PROSTATE}, 200),
        (path, {"inputs": rows}, 200),
        (path, {"inputs": {"AGE": "old"}}, 422),
        (path, {"inputs": [*rows, {"AGE": "old"}]}, 422),
        (path, {"nothing": 1}, 422),
        (path.replace(made["deployment_id"], "not-an-id"), {}, 404),
        (f"/api/models/{add_model()}/predict", {"inputs": rows}, 200),
    ]
    for address, body, status in asked:
        assert client.post(address, json=body).status_code == status
    assert httpx.post(str(client.base_url.join(path)), json={"inputs": rows}).status_code == 401
    with connected(str(client.base_url)) as gone:
        gone.sendall(request("POST", path, b'{"inputs": [', key=admin_key, Content_Length=200_000))
    admission: Admission = app.state.admission
    deadline = time.monotonic() + 20
    while admission.at_hand or admission.large_bytes or admission.in_threads:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_large_predictions_are_bounded_and_small_ones_go_on(
    app: Litestar, client: httpx.Client, deploy: Deploy
) -> None:
    path = f"/api/mlops/deployments/{deploy()['deployment_id']}/predict"
    admission: Admission = app.state.admission
    admission.large_bytes += 64 * MB
    large = {"inputs": [PROSTATE] * 3000}
    assert client.post(path, json=large).status_code == 503
    assert client.post(path, content=iter([_json(large)])).status_code == 503  # chunked: found out on the way
    assert client.post(path, json={"inputs": PROSTATE}).status_code == 200
    admission.large_bytes -= 64 * MB
    admission.in_threads += 64
    refused = client.post(path, json=large)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    admission.in_threads -= 64
    assert client.post(path, content=iter([_json(large)])).status_code == 200


def test_patient_callers_are_never_turned_away(app: Litestar, client: httpx.Client, deploy: Deploy) -> None:
    path = f"/api/mlops/deployments/{deploy()['deployment_id']}/predict"
    with ThreadPoolExecutor(32) as callers:
        answers = list(callers.map(lambda _: client.post(path, json={"inputs": PROSTATE}).status_code, range(400)))
    assert set(answers) == {200}
    assert app.state.admission.shed == 0


def _json(value: object) -> bytes:
    return httpx.Request("POST", "http://test", json=value).content


def _shed_in_ledger(database: Database) -> int:
    with database.transaction() as session:
        return int(session.execute(text("SELECT coalesce(sum(shed), 0) FROM log_ledger")).scalar_one())
