"""Uploads: bounded in size, number and time, and off the event loop."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.settings import Settings
from tests.h2o_models import TrainedModels
from tests.integration.api.conftest import client_of
from tests.integration.api.serving import served
from tests.integration.api.test_models import send

WAIT_S = 30


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Small bounds, so that tests reach them."""
    return Settings(
        home=tmp_path / "home",
        database_url=database_url,
        prefect_port=9,
        max_upload_mb=1,
        max_request_mb=1,
        max_uploads=1,
        upload_patience_s=600,
    )


class HalfUpload:
    """An upload that stops half way and keeps its connection open."""

    def __init__(self, base_url: str, key: str, project_id: str) -> None:
        address = httpx.URL(base_url)
        self._socket = socket.create_connection((address.host, address.port))
        head = (
            f"POST /api/projects/{project_id}/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n"
            '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhalf'
        )
        self._socket.sendall(head.encode())

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def answer(self) -> str:
        """Return what the server says."""
        self._socket.settimeout(WAIT_S)
        return self._socket.recv(65536).decode()


def until(condition: object) -> None:
    """Wait for a callable to say yes."""
    deadline = time.monotonic() + WAIT_S
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def waiting(settings: Settings) -> list[Path]:
    """Return the uploads on disk."""
    return list((settings.home / "uploads").iterdir())


@pytest.fixture
def half(base_url: str, admin_key: str, project_id: str, settings: Settings) -> Iterator[HalfUpload]:
    upload = HalfUpload(base_url, admin_key, project_id)
    until(lambda: waiting(settings))
    yield upload
    upload.close()


def test_too_large_an_upload_is_refused(client: httpx.Client, project_id: str, settings: Settings) -> None:
    refused = send(client, project_id, file=bytes(1_100_000), reference=b"a\n1\n")
    assert refused.status_code == 413
    assert refused.headers["content-type"] == "application/problem+json"
    assert waiting(settings) == []


def test_too_large_an_upload_of_unknown_length_is_refused(
    client: httpx.Client, project_id: str, settings: Settings
) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        for _ in range(20):
            yield bytes(100_000)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    try:
        refused = client.post(f"/api/projects/{project_id}/models", content=chunks(), headers=headers)
    except httpx.WriteError:
        pass  # the server hung up on us while we were still sending: refused as well
    else:
        assert refused.status_code == 413
    until(lambda: waiting(settings) == [])


def test_too_large_a_json_body_is_refused(client: httpx.Client) -> None:
    refused = client.post("/api/projects", json={"name": "x", "description": "y" * 1_100_000})
    assert (refused.status_code, refused.json()["title"]) == (413, "Request Entity Too Large")


@pytest.mark.usefixtures("half")
def test_one_upload_more_than_the_bound_is_told_to_come_back(
    client: httpx.Client, project_id: str, h2o_models: TrainedModels
) -> None:
    trained = h2o_models["gbm_multinomial"]
    refused = send(client, project_id, file=trained.mojo, reference=trained.reference)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0


def test_a_caller_who_hangs_up_leaves_nothing_and_frees_the_place(
    client: httpx.Client, project_id: str, h2o_models: TrainedModels, half: HalfUpload, settings: Settings
) -> None:
    half.close()
    until(lambda: waiting(settings) == [])
    trained = h2o_models["gbm_multinomial"]
    until(lambda: send(client, project_id, file=trained.mojo, reference=trained.reference).status_code == 201)


def test_an_upload_that_never_arrives_is_given_up(database_url: str, tmp_path: Path, admin_key: str) -> None:
    settings = Settings(home=tmp_path / "home", database_url=database_url, prefect_port=9, upload_patience_s=0.2)
    with served(create_app(settings)) as url, client_of(url, admin_key) as client:
        project_id = client.post("/api/projects", json={"name": "x"}).json()["project_id"]
        upload = HalfUpload(url, admin_key, project_id)
        assert upload.answer().startswith("HTTP/1.1 408")
        upload.close()
        assert waiting(settings) == []


def test_the_server_answers_while_it_imports(
    base_url: str, admin_key: str, client: httpx.Client, project_id: str, h2o_models: TrainedModels
) -> None:
    trained = h2o_models["gbm_binomial_20"]
    done: list[int] = []

    def run() -> None:
        with client_of(base_url, admin_key) as own:
            answer = send(own, project_id, file=trained.mojo, reference=trained.reference)
            done.append(answer.status_code)

    thread = threading.Thread(target=run)
    thread.start()
    served_meanwhile = 0
    while thread.is_alive():
        served_meanwhile += client.get("/health/live").status_code == 200
    thread.join()
    assert done == [201]
    assert served_meanwhile > 3
