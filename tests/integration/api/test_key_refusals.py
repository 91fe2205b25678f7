"""What the API says to keys that do not open, and to a wrong wish for one."""

import httpx
import pytest

from tests.integration.api.conftest import client_of
from tests.integration.api.shared import FIXTURES

database_url, settings, app, base_url = FIXTURES

KEYS = "/api/auth/api-keys"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["root"]}, "scopes"),
        ({"name": "", "scopes": ["read"]}, "name"),
        ({"name": "  ", "scopes": ["read"]}, "name"),
        ({"name": "a\x00b", "scopes": ["read"]}, "name"),
        ({"name": "x" * 201, "scopes": ["read"]}, "name"),
        ({"name": 7, "scopes": ["read"]}, "name"),
        ({"scopes": ["read"]}, "name"),
        ({"name": "x", "scopes": ["read"], "project_id": "nonsense"}, "project_id"),
        ({"name": "x", "scopes": ["read"], "expires_at": "2999-01-01T00:00:00"}, "expires_at"),
        ({"name": "x", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "scopes": ["read"], "secret": "mine"}, "secret"),
    ],
)
def test_a_wrong_body_is_refused_by_field(client: httpx.Client, body: dict[str, object], field: str) -> None:
    answer = client.post(KEYS, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].split("[")[0].split(".")[0] == field


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer nonsense", "Basic eDp5", "Bearer pk_abc_" + "0" * 48, "bearer pk__"],
)
def test_no_known_key_no_entry(base_url: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = httpx.get(f"{base_url}/api/projects", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_right_id_with_another_secret_is_refused(base_url: str, admin_key: str) -> None:
    for wrong in (admin_key[:-1] + ("0" if admin_key[-1] != "0" else "1"), admin_key + "0"):
        assert client_of(base_url, wrong).get("/api/projects").status_code == 401
