"""Trying a channel: real messages to a real mail server and a real HTTP receiver on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.settings import Settings
from monitoring.store.database import Database
from monitoring.store.keys import create_key
from tests.integration.alerts.conftest import MakeChannel, timeline_of
from tests.integration.api.conftest import Installation, client_of
from tests.integration.api.serving import served
from tests.integration.notifications.mail_servers import MailServer, serving
from tests.integration.notifications.receivers import Receiver, receiving


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    with serving() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture(scope="module")
def installation(
    module_database_url: str, mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation that sends mail to this module's server and may call loopback."""
    home: Path = tmp_path_factory.mktemp("home")
    mail = {
        "smtp_host": "127.0.0.1",
        "smtp_port": mail_server.port,
        "smtp_security": "none",
        "smtp_from": "w@example.org",
    }
    settings = Settings(
        home=home, database_url=module_database_url, prefect_port=9, allowed_addresses="127.0.0.1", **mail
    )
    database = Database(module_database_url)
    with database.transaction() as session:
        key = create_key(session, name="admin", scopes=["admin"])[1]
    app = create_app(settings)
    with served(app) as url:
        yield Installation(app, database, url, key)
    database.close()


def test_mail_goes_to_each_address(
    client: httpx.Client, project_id: str, make_channel: MakeChannel, mail_server: MailServer
) -> None:
    channel = make_channel(name="night watch", config={"to": ["a@example.org", "b@example.org"]})
    answer = client.post(f"/api/mlops/channels/{channel['id']}/test")
    assert answer.status_code == 201, answer.text
    tested = answer.json()
    assert tested["ok"] is True
    states = {delivery["target"]: delivery["state"] for delivery in tested["deliveries"]}
    assert states == {"a@example.org": "sent", "b@example.org": "sent"}
    assert sorted(mail_server.recipients[-2:]) == [["a@example.org"], ["b@example.org"]]
    parts = {part.get_content_type() for part in mail_server.mails[-1].walk()}
    assert parts >= {"text/plain", "text/html"}
    assert "night watch" in mail_server.mails[-1].as_string()
    assert timeline_of(client, project_id)[0]["action"] == "channel.tested"


def test_a_refused_address_says_why(
    client: httpx.Client, make_channel: MakeChannel, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_server, "rcpt_reply", "550 no such user")
    tested = client.post(f"/api/mlops/channels/{make_channel()['id']}/test").json()
    (refused,) = tested["deliveries"]
    assert (tested["ok"], refused["state"], refused["next_attempt_at"]) == (False, "failed", None)
    assert "550" in refused["response"]
    assert [attempt["outcome"] for attempt in refused["attempts"]] == ["failed"]


def test_a_webhook_gets_it_once_an_idempotency_key(
    client: httpx.Client, make_channel: MakeChannel, receiver: Receiver
) -> None:
    channel = make_channel(type="webhook", config={"url": receiver.url})
    path, headers = f"/api/mlops/channels/{channel['id']}/test", {"Idempotency-Key": "t1"}
    first, again = (client.post(path, headers=headers).json() for _ in range(2))
    assert first == again
    assert first["ok"] is True
    (received,) = receiver.received
    (delivery,) = first["deliveries"]
    assert received.headers["idempotency-key"] == delivery["id"]
    assert (delivery["kind"], delivery["state"], delivery["attempt"]) == ("test", "sent", 1)
    assert json.loads(received.body)["schema"] == "pilothouse.alert.v1"


def test_what_the_outbox_would_try_again_fails_at_once(
    client: httpx.Client, make_channel: MakeChannel, receiver: Receiver
) -> None:
    receiver.answer = (503, {}, b"busy")
    channel = make_channel(type="webhook", config={"url": receiver.url}, is_enabled=False)
    tested = client.post(f"/api/mlops/channels/{channel['id']}/test").json()
    assert tested["ok"] is False
    assert [delivery["state"] for delivery in tested["deliveries"]] == ["failed"]
    assert "503" in tested["deliveries"][0]["response"]
    assert len(receiver.received) == 1


def test_an_address_inside_is_refused(client: httpx.Client, make_channel: MakeChannel) -> None:
    channel = make_channel(type="webhook", config={"url": "http://169.254.169.254/latest"})
    tested = client.post(f"/api/mlops/channels/{channel['id']}/test").json()
    assert [delivery["state"] for delivery in tested["deliveries"]] == ["failed"]


def test_a_test_message_shows_under_no_alert(
    installation: Installation, client: httpx.Client, project_id: str, make_channel: MakeChannel
) -> None:
    client.post(f"/api/mlops/channels/{make_channel()['id']}/test").raise_for_status()
    assert client.get(f"/api/mlops/projects/{project_id}/alerts").json()["total"] == 0
    with client_of(installation.base_url, installation.admin_key) as other:
        assert other.delete(f"/api/projects/{project_id}").status_code == 204
