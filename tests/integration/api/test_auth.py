"""The key ring: quick to remember, quicker to forget."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import pytest
from sqlmodel import Session

from api.auth import KeyRing
from api.errors import NotAuthenticated
from monitoring.store.database import Database
from monitoring.store.keys import parse_key, revoke_key


def revoke(database: Database, text: str) -> None:
    parsed = parse_key(text)
    assert parsed is not None
    with database.transaction() as session:
        revoke_key(session, parsed[0], now=datetime.now(UTC))


def authenticate(ring: KeyRing, text: str) -> str:
    return asyncio.run(ring.authenticate(f"Bearer {text}")).key_id


def test_a_good_key_is_remembered_until_forgotten(database: Database, make_key: Callable[..., str]) -> None:
    text = make_key("read")
    ring = KeyRing(database)
    authenticate(ring, text)
    revoke(database, text)
    assert authenticate(ring, text)  # remembered: another process has still to hear of it
    ring.forget(text.split("_")[1])
    with pytest.raises(NotAuthenticated):
        authenticate(ring, text)


def test_a_key_revoked_while_it_is_read_is_not_remembered(database: Database, make_key: Callable[..., str]) -> None:
    text = make_key("read")

    class Racing(Database):
        """Another thread revokes the key between our reading it and our remembering it."""

        @contextmanager
        def transaction(self) -> Iterator[Session]:
            with super().transaction() as session:
                yield session
            revoke(database, text)
            ring.forget(text.split("_")[1])

    racing = Racing(database.url)
    ring = KeyRing(racing)
    authenticate(ring, text)
    ring._database = database
    with pytest.raises(NotAuthenticated):
        authenticate(ring, text)
    racing.close()


def test_a_browser_is_asked_for_the_key_and_may_only_read_with_it(base_url: str, admin_key: str) -> None:
    page = f"{base_url}/api/projects"
    asked = httpx.get(page, headers={"Accept": "text/html,application/xhtml+xml"})
    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Basic ")
    assert httpx.get(page).headers["www-authenticate"].startswith("Bearer ")
    prompted = httpx.BasicAuth("anyone", admin_key)
    assert httpx.get(page, auth=prompted).status_code == 200
    assert httpx.post(page, auth=prompted, json={"name": "forged by another site"}).status_code == 401
    assert httpx.get(page, headers={"Authorization": "Basic !"}).status_code == 401
