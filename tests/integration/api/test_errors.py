"""Whatever a caller sends: a problem document with the right status, never a 500."""

import socket
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.api.conftest import Installation, installed

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def installation(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One server for the module: these tests ask for what is refused."""
    with installed(module_database_url, tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture
def base_url(installation: Installation) -> str:
    return installation.base_url


@pytest.fixture
def admin_key(installation: Installation) -> str:
    return installation.admin_key


def check_problem(answer: httpx.Response, status: int) -> None:
    """Check a problem document whole."""
    document = answer.json()
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert set(document) - {"errors"} == {"type", "title", "status", "detail", "instance"}
    assert document["status"] == status
    assert document["instance"] == answer.request.url.path
    assert ("errors" in document) == (status == 422)
    for error in document.get("errors", []):
        assert set(error) == {"field", "message"}
    assert len(document["detail"]) > 3


@pytest.mark.parametrize("path", ["/", "/nowhere", "/api", "/api/project", "/api/projects/1/2/3", "/schema/x/y"])
def test_an_unknown_path_is_a_problem(client: httpx.Client, path: str) -> None:
    check_problem(client.get(path), 404)


def test_a_wrong_method_is_a_problem(client: httpx.Client) -> None:
    answer = client.patch("/api/projects")
    check_problem(answer, 405)
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"[]", "body"),
        (b"7", "body"),
        (b"null", "body"),
        (b'"x"', "body"),
        (b"\xff\xfe", "body"),
        (b'{"name": "\xff"}', "body"),
        (b'{"\xff": 1}', "body"),
        (b"[" * 200_000, "body"),
        (b'{"name": ' + b"[" * 200_000, None),
        (b'{"name": NaN}', "body"),
        (b'{"name": "\\ud800"}', "body"),
        (b'{"name": "\\ud800\\ud800"}', "body"),
        (b'{"name": "\\udc00 low first"}', "body"),
        (b'{"name": "\\u0000"}', "name"),
        (b'{"name": "ok", "description": "a\\u0000b"}', "description"),
        (b'{"name": 1' + b"0" * 5000 + b"}", None),
        (b'{"name": 1e999}', None),
        (b'{"name": "ok", "extra": 1}', "extra"),
        (b'{"name": "' + b"x" * 100_000 + b'"}', "name"),
        (b'{"name": "ok", "description": "' + b"x" * 100_000 + b'"}', "description"),
        (b"", "name"),
        (b"{}", "name"),
    ],
)
def test_a_wrong_body_is_refused(client: httpx.Client, body: bytes, field: str | None) -> None:
    answer = client.post("/api/projects", content=body, headers={"Content-Type": "application/json"})
    check_problem(answer, 422)
    assert field is None or answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("name", ["\U0001f600 emoji", "é", "\u202e right to left", "a\nb", "'; DROP TABLE project; --"])
def test_odd_but_legal_text_is_kept(client: httpx.Client, name: str) -> None:
    made = client.post("/api/projects", json={"name": name})
    assert made.status_code == 201
    assert client.get(f"/api/projects/{made.json()['project_id']}").json()["project"]["name"] == name


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/msgpack", "multipart/form-data"]
)
def test_another_media_type_is_refused(client: httpx.Client, content_type: str) -> None:
    answer = client.post("/api/projects", content=b'{"name": "x"}', headers={"Content-Type": content_type})
    check_problem(answer, 415)


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "application/x+json", ""]
)
def test_json_by_any_of_its_names_is_read(client: httpx.Client, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert client.post("/api/projects", content=b'{"name": "x"}', headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=abc", "limit"),
        ("limit=1.5", "limit"),
        ("limit=" + "9" * 40, "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("offset=-1", "offset"),
        ("offset=99999999999999999999", "offset"),
        ("search=%00", "search"),
        ("search=" + "x" * 201, "search"),
    ],
)
def test_a_wrong_query_is_refused_by_name(client: httpx.Client, query: str, field: str) -> None:
    answer = client.get(f"/api/projects?{query}")
    check_problem(answer, 422)
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "query", ["search=%ff%fe", "search=%ed%a0%80", "limit=5&limit=6", "unknown=1", "&&&=", "search="]
)
def test_an_odd_query_is_never_a_server_error(client: httpx.Client, query: str) -> None:
    assert client.get(f"/api/projects?{query}").status_code in (200, 422)


@pytest.mark.parametrize("query", ["project_id=nonsense", "project_id=", "experiment_id=1"])
def test_a_wrong_id_in_a_query_is_refused(client: httpx.Client, query: str) -> None:
    check_problem(client.get(f"/api/models?{query}"), 422)


@pytest.mark.parametrize(
    "path",
    [
        "/api/projects/%00",
        "/api/projects/%ff",
        "/api/projects/" + "x" * 3000,
        "/api/projects/../../etc/passwd",
        "/api/auth/api-keys/%00",
        "/api/auth/api-keys/a%2fb",
        "/api/auth/api-keys/é",
        f"/api/models/{uuid.UUID(int=7)}",
        "/api/models/{model_id}",
    ],
)
def test_an_odd_path_is_not_found(client: httpx.Client, path: str) -> None:
    for method in ("GET", "DELETE"):
        answer = client.request(method, path)
        assert answer.status_code in (404, 405), answer.text
        assert answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize("key", ["", "x" * 256, "é"])
def test_a_wrong_idempotency_key_is_refused(base_url: str, admin_key: str, key: str) -> None:
    headers = {"Authorization": f"Bearer {admin_key}", "Idempotency-Key": key.encode("utf-8")}
    raw = {name: value if isinstance(value, bytes) else value.encode() for name, value in headers.items()}
    answer = httpx.post(f"{base_url}/api/projects", json={"name": "x"}, headers=list(raw.items()))
    assert answer.status_code in (201, 422)
    assert answer.status_code == 422 or key == "é"
    if len(key) > 255:
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "99999999999999999999999"])
def test_a_wrong_content_length_is_no_server_error(base_url: str, admin_key: str, length: str) -> None:
    address = httpx.URL(base_url)
    with socket.create_connection((address.host, address.port)) as raw:
        raw.sendall(
            f"POST /api/projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin_key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        raw.settimeout(10)
        answer = raw.recv(65536)
    assert answer.split(b" ")[1] in {b"400", b"413", b"422"}
