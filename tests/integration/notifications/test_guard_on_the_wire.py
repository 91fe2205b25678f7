"""The address guard where it counts: what is really connected to, whatever URL, resolver, answer or text says."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from notifications.channels import Destination, Email, Slack, Webhook
from notifications.post_office import Outcome, PostOffice
from notifications.settings import NoticeSettings
from tests.integration.notifications.conftest import loopback_office
from tests.integration.notifications.receivers import Receiver, receiving, speaking
from tests.unit.notifications.notices import a_notice

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def send(office: PostOffice, destination: Destination, **changes: Any) -> Outcome:
    return office.send(a_notice(**changes), destination, delivery_id="0195-x", now=NOW)


@cache
def strict_office() -> PostOffice:
    """A post office as it is without settings: public addresses only, by the system's resolver."""
    return PostOffice(NoticeSettings())


@cache
def open_office() -> PostOffice:
    """A post office that may reach all of loopback."""
    return loopback_office(allowed_addresses="127.0.0.0/8")


def test_a_resolver_that_changes_its_answer_is_asked_once_and_taken_at_its_word() -> None:
    answers = iter([["127.0.0.2"], ["127.0.0.3"], ["127.0.0.3"]])
    asked: list[str] = []

    def rebind(host: str, _port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    with receiving("127.0.0.2") as checked, receiving("127.0.0.3", checked.port) as behind:
        office = PostOffice(NoticeSettings(allowed_addresses="127.0.0.2"), resolve=rebind)
        url = f"http://rebind.example:{checked.port}/"
        assert send(office, Webhook(url)).status == "sent"
        assert asked == ["rebind.example"]
        assert checked.received[0].headers["host"] == f"rebind.example:{checked.port}"
        assert send(office, Webhook(url)).status == "failed"
        assert behind.connections == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    with receiving("127.0.0.3") as behind:
        receiver.answer = (status, {"Location": behind.url}, b"")
        for destination in (Webhook(receiver.url), Slack(receiver.url)):
            outcome = send(open_office(), destination)
            assert outcome.status == "failed"
            assert outcome.response.endswith("redirects are not followed")
        assert behind.connections == []


HOSTS = [
    *("127.0.0.1", "localhost", "LOCALHOST", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1"),
    *("0177.0.0.1", "017700000001", "0", "0.0.0.0", "127.0.0.1.", "[::1]", "[::]", "[::ffff:127.0.0.1]"),  # noqa: S104
    *("[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]"),
    *("user@127.0.0.1", "example.com@127.0.0.1", "user:password@127.0.0.1", "１２７.0.0.1", "127。0。0。1"),
]


@pytest.mark.parametrize("host", HOSTS)
def test_no_spelling_of_loopback_is_connected_to(receiver: Receiver, host: str) -> None:
    office = strict_office()
    for destination in (Webhook(f"http://{host}:{receiver.port}/"), Slack(f"http://{host}:{receiver.port}/")):
        assert send(office, destination).status == "failed"
    assert receiver.connections == []


@pytest.mark.parametrize("addresses", [["127.0.0.1", "1.1.1.1"], ["1.1.1.1", "127.0.0.1"], ["::ffff:127.0.0.1"]])
def test_a_host_with_one_private_address_is_not_connected_to(receiver: Receiver, addresses: list[str]) -> None:
    office = PostOffice(NoticeSettings(), resolve=lambda _host, _port: addresses)
    with watching() as seen:
        outcome = send(office, Webhook(f"http://hooks.example:{receiver.port}/"))
    assert outcome == Outcome("failed", "refused: hooks.example is, or has, an address that is not public")
    assert seen.connected == []


@pytest.mark.parametrize("scheme", ["file", "ftp", "gopher", "json", "jsons", "xml", "mailto", "slack", "ws", "unix"])
def test_other_schemes_open_nothing(receiver: Receiver, scheme: str) -> None:
    with watching() as seen:
        for destination in (Webhook, Slack):
            outcome = send(open_office(), destination(f"{scheme}://127.0.0.1:{receiver.port}/etc/passwd"))
            assert outcome == Outcome("failed", "the URL must start with http:// or https://")
    assert (seen.connected, seen.opened) == ([], [])


def test_proxies_of_the_environment_are_ignored(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving("127.0.0.3") as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.3:{proxy.port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert send(loopback_office(), Webhook(receiver.url)).status == "sent"
        assert proxy.connections == []


def test_no_text_of_a_user_makes_apprise_open_anything_else(receiver: Receiver) -> None:
    with receiving("127.0.0.3") as trap, speaking(_greet) as mail_port:
        urls = (f"http://127.0.0.3:{trap.port}/", f"json://127.0.0.3:{trap.port}/", f"jsons://127.0.0.3:{trap.port}")
        office = loopback_office(
            allowed_addresses="127.0.0.0/8",
            smtp_host="127.0.0.1",
            smtp_port=mail_port,
            smtp_security="none",
            smtp_from="pilot@example.com",
            notice_timeout_s=1,
        )
        for destination, port in (
            (Webhook(receiver.url, {"X-Callback": urls[0], "X-Forwarded-Host": "127.0.0.3"}), receiver.port),
            (Slack(receiver.url), receiver.port),
            (Email("ops@example.com"), mail_port),
        ):
            for text in (*urls, *_TEXTS, *(f"<img src='{url}'> ![]({url}) {url}" for url in urls)):
                with watching() as seen:
                    send(office, destination, **dict.fromkeys(_FIELDS, text))
                assert seen.connected == [("127.0.0.1", port)]
                assert seen.opened == []
        assert trap.connections == []


_FIELDS = ("project_name", "rule_name", "deployment_name", "stage", "model_name", "feature", "reason", "link")
_TEXTS = (
    "file:///etc/passwd",
    "mailto://user:password@127.0.0.3?to=a@b.example",
    "slack://T/B/x/#channel",
    "include file:///etc/passwd",
    "urls:\n  - json://127.0.0.3",
    "{file:///etc/passwd}",
    ":smile: \\n \\x41 %(name)s {0.__class__}",
)


def _greet(connection: Any) -> None:
    connection.sendall(b"554 closed\r\n")
    connection.recv(100)


class _Seen:
    def __init__(self) -> None:
        self.connected: list[Any] = []
        self.opened: list[str] = []
        self.thread = threading.get_ident()


_watchers: list[_Seen] = []


def _hear(event: str, details: tuple[Any, ...]) -> None:
    if not _watchers:
        return
    seen = _watchers[-1]
    if event == "socket.connect":
        seen.connected.append(details[1])
    elif event in {"subprocess.Popen", "os.system", "urllib.Request"} or (
        event == "open" and threading.get_ident() == seen.thread and not str(details[0]).endswith((".py", ".pyc"))
    ):
        seen.opened.append(f"{event} {details[0]}")


@contextmanager
def watching() -> Iterator[_Seen]:
    """Hear from the interpreter of each connection, of this thread's files (but modules), and of child processes."""
    if not getattr(watching, "installed", False):
        sys.addaudithook(_hear)  # cannot be removed; deaf outside the block
        watching.installed = True  # type: ignore[attr-defined]
    _watchers.append(_Seen())
    try:
        yield _watchers[-1]
    finally:
        _watchers.pop()
