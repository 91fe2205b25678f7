"""Connections that take too long, say too much or are too many: each has an end, and others are served meanwhile."""

import socket
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx
import pytest

from api.app import create_app
from api.crowd import Bounds, Crowd
from api.settings import Settings
from monitoring.store.database import Database
from monitoring.store.keys import create_key
from tests.integration.api.conftest import Installation
from tests.integration.api.raw_http import connected, read_all, read_answer, request
from tests.integration.api.serving import served

MB = 2**20
MOST = 12
PREDICT = "/api/mlops/deployments/01939a64-0000-7000-8000-000000000001/predict"


@pytest.fixture(scope="module")
def installation(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A served installation with little patience and room."""
    database = Database(module_database_url)
    with database.transaction() as session:
        key = create_key(session, name="admin", scopes=["admin"])[1]
    home = tmp_path_factory.mktemp("home")
    app = create_app(Settings(home=home, database_url=module_database_url, prefect_port=9, max_request_mb=1))
    app.state.crowd = Crowd(Bounds(connections=MOST, headers_s=0.6, body_s=0.6, answer_s=0.8, idle_s=3, linger_s=0.4))
    with served(app) as url:
        yield Installation(app, database, url, key)
    database.close()


def lives(installation: Installation) -> bool:
    return httpx.get(f"{installation.base_url}/health/live", timeout=20).status_code == 200


@pytest.mark.parametrize("begun", [b"GET /health/li", b"GET /health/live HTTP/1.1\r\nHost: test\r\n"])
def test_headers_that_do_not_come_are_not_waited_for(installation: Installation, begun: bytes) -> None:
    with connected(installation.base_url) as slow:
        slow.sendall(begun)
        assert lives(installation)
        answer = read_all(slow)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"content-type: application/problem+json\r\n" in answer
    assert b"connection: close\r\n" in answer


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("path", ["/api/projects", PREDICT])
def test_a_body_that_does_not_come_is_not_waited_for(installation: Installation, path: str, kind: str) -> None:
    with connected(installation.base_url) as slow:
        key = installation.admin_key
        slow.sendall(request("POST", path, b'{"name":', key=key, Content_Type=kind, Content_Length=500))
        answer = read_all(slow)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer


def test_a_large_body_that_does_not_come_is_not_waited_for(installation: Installation) -> None:
    """It is let in by its headers, and gives its place back."""
    path = f"/api/models/{uuid.uuid4()}/predict"
    with connected(installation.base_url) as slow:
        slow.sendall(request("POST", path, b'{"inputs":', key=installation.admin_key, Content_Length=200_000))
        answer = read_all(slow)
    assert answer.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 404 "))
    assert installation.app.state.admission.large_bytes == 0


def test_an_upload_has_its_own_patience(installation: Installation) -> None:
    kind = "multipart/form-data; boundary=x"
    project = httpx.post(
        f"{installation.base_url}/api/projects",
        json={"name": "Fraud"},
        headers={"Authorization": f"Bearer {installation.admin_key}"},
    ).json()["project_id"]
    with connected(installation.base_url) as slow:
        path = f"/api/projects/{project}/models"
        slow.sendall(request("POST", path, b"--x", key=installation.admin_key, Content_Type=kind, Content_Length=90))
        slow.settimeout(1.5)
        with pytest.raises(TimeoutError):
            slow.recv(1)


def test_an_idle_connection_ends(installation: Installation) -> None:
    with connected(installation.base_url) as idle, connected(installation.base_url) as silent:
        idle.sendall(request("GET", "/health/live"))
        assert read_answer(idle)[0] == 200
        assert read_all(idle) == b""
        assert read_all(silent) == b""


def test_a_newcomer_takes_the_place_of_the_one_idle_longest(installation: Installation) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(connected(installation.base_url)) for _ in range(MOST)]
        for one in (*idle[1:], idle[0]):  # so the second has been idle longest
            one.sendall(request("GET", "/health/live"))
            assert read_answer(one)[0] == 200
        newcomer = stack.enter_context(connected(installation.base_url))
        newcomer.sendall(request("GET", "/health/live"))
        assert read_answer(newcomer)[0] == 200
        assert idle[1].recv(1) == b""
        idle[0].sendall(request("GET", "/health/live"))
        assert read_answer(idle[0])[0] == 200


def test_where_nobody_is_idle_a_newcomer_is_told_so(installation: Installation) -> None:
    with ExitStack() as stack:
        for _ in range(MOST):
            busy = stack.enter_context(connected(installation.base_url))
            busy.sendall(b"GET /health/live HTTP/1.1\r\n")
        _wait_until(lambda: installation.app.state.crowd.idle_count == 0)
        newcomer = stack.enter_context(connected(installation.base_url))
        answer = read_all(newcomer)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in answer
    _wait_until(lambda: len(installation.app.state.crowd) == 0)
    assert lives(installation)


def test_a_body_too_large_is_refused_by_its_announced_size(installation: Installation) -> None:
    """Before it is sent; and who sends it all the same still reads the answer, and is cut off."""
    for path in ("/api/projects", PREDICT, f"/api/models/{uuid.uuid4()}/predict"):
        with connected(installation.base_url) as large:
            large.sendall(request("POST", path, key=installation.admin_key, Content_Length=10 * MB))
            status, headers, _ = read_answer(large)
            assert status == (413 if path == "/api/projects" else 404)
            assert headers["connection"] == "close"
            assert large.recv(1) == b""
    assert installation.app.state.admission.large_bytes == 0


def test_a_body_too_large_is_refused_while_it_comes_in_pieces(installation: Installation) -> None:
    with connected(installation.base_url) as large:
        large.sendall(request("POST", "/api/projects", key=installation.admin_key, Transfer_Encoding="chunked"))
        status, headers, _ = _answer_to_endless(large)
    assert (status, headers["connection"]) == (413, "close")
    assert lives(installation)


def test_who_sends_on_after_the_answer_is_cut_off(installation: Installation) -> None:
    with connected(installation.base_url) as large:
        large.sendall(request("POST", "/api/projects", key="pk_wrong", Content_Length=MB))
        with pytest.raises(OSError):  # noqa: PT011 - cut off in one way or another
            large.sendall(bytes(500 * MB))
    assert lives(installation)


def test_endless_headers_are_refused(installation: Installation) -> None:
    with connected(installation.base_url) as endless:
        endless.sendall(b"GET /health/live HTTP/1.1\r\n" + b"x: " + b"y" * 400_000)
        assert read_answer(endless)[0] == 431


def test_who_does_not_take_the_answer_is_cut_off(installation: Installation) -> None:
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", int(installation.base_url.rpartition(":")[2])))
        deaf.sendall(30 * request("GET", "/schema/assets/swagger-ui-bundle.js"))
        _wait_until(lambda: len(installation.app.state.crowd) == 1)
        assert lives(installation)
        _wait_until(lambda: len(installation.app.state.crowd) == 0)


def test_who_says_no_more_still_gets_the_answer(installation: Installation) -> None:
    with connected(installation.base_url) as half:
        half.sendall(request("GET", "/api/projects", key=installation.admin_key))
        half.shutdown(socket.SHUT_WR)
        assert read_all(half).startswith(b"HTTP/1.1 200 ")


def test_half_a_request_and_no_more_ends_at_once(installation: Installation) -> None:
    with connected(installation.base_url) as half:
        half.sendall(request("POST", PREDICT, b"{", key=installation.admin_key, Content_Length=50))
        half.shutdown(socket.SHUT_WR)
        assert read_all(half) == b""


def test_requests_that_come_all_at_once_are_answered_in_their_order(installation: Installation) -> None:
    paths = ["/health/live", PREDICT, "/nowhere", PREDICT, "/health/live"]
    with connected(installation.base_url) as hasty:
        hasty.sendall(b"".join(request("POST" if path is PREDICT else "GET", path, b"{}") for path in paths))
        hasty.shutdown(socket.SHUT_WR)
        answers = read_all(hasty).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"401", b"404", b"401", b"200"]


def test_of_requests_without_end_on_one_connection_few_are_taken_in(installation: Installation) -> None:
    """What comes behind a request that is being answered waits with the client, but for what was read with it."""
    asked = request("GET", "/health/live", Padding="x" * 200)
    with connected(installation.base_url) as hasty, ThreadPoolExecutor(1) as sending:
        known = set(installation.app.state.crowd._open)
        sent = sending.submit(hasty.sendall, 6000 * asked)
        taken, most = b"", 0
        while taken.count(b"HTTP/1.1 200 ") < 30:
            taken += hasty.recv(4096)
            connections = known | set(installation.app.state.crowd._open)
            most = max(most, *(len(each.pipeline) for each in connections))
        hasty.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            sent.result()
    assert 0 < most < 2000


def test_a_client_that_asks_first_is_told_to_send_its_body(installation: Installation) -> None:
    with connected(installation.base_url) as polite:
        polite.sendall(request("POST", PREDICT, key=installation.admin_key, Expect="100-continue", Content_Length=2))
        assert read_answer(polite)[0] == 100
        polite.sendall(b"{}")
        assert read_answer(polite)[0] == 404


def _answer_to_endless(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Send pieces of a body until there is an answer."""
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    for _ in range(17):
        connection.sendall(piece)
    return read_answer(connection)


def _wait_until(holds: Callable[[], bool], patience_s: float = 20) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
