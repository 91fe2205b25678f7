"""Mails handed to a real mail server: in clear, under TLS, with a login; and what its refusals come to."""

import socket
from datetime import UTC, datetime
from typing import Any

import pytest

from notifications.channels import Email
from notifications.post_office import Outcome, PostOffice
from notifications.settings import NoticeSettings
from tests.integration.notifications.certificates import Authority
from tests.integration.notifications.mail_servers import MailServer, serving
from tests.integration.notifications.receivers import free_port, speaking
from tests.unit.notifications.notices import LINK, a_notice

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def send(port: int, address: str = "ops@example.com", **settings: Any) -> Outcome:
    given = {"smtp_host": "localhost", "smtp_security": "none", "smtp_from": "Pilot <pilot@example.com>"} | settings
    office = PostOffice(NoticeSettings(smtp_port=port, notice_timeout_s=5, **given))
    return office.send(a_notice(), Email(address), delivery_id="0195-x", now=NOW)


def test_a_mail_arrives_in_text_and_html_under_the_same_id_at_each_attempt() -> None:
    with serving() as server:
        assert [send(server.port), send(server.port)] == [Outcome("sent", "250 taken as 1")] * 2
    first, second = server.mails
    assert server.recipients == [["ops@example.com"]] * 2
    assert first["Subject"] == "[CRITICAL] prod-v3: drift_psi 0.31 > 0.25 (income drifts)"
    assert (first["From"], first["To"]) == ("Pilot <pilot@example.com>", "ops@example.com")
    assert first["Message-ID"] == second["Message-ID"] == "<0195-x@example.com>"
    assert [part.get_content_type() for part in first.iter_parts()] == ["text/plain", "text/html"]
    assert all(LINK in part.get_content() for part in first.iter_parts())


@pytest.mark.parametrize("address", ["o'brien@example.com", "a+b@example.com", "x@localhost", "a=b!c@example.com"])
def test_a_mail_goes_to_the_address_as_it_is_written(address: str) -> None:
    with serving() as server:
        assert send(server.port, address).status == "sent"
    assert server.recipients == [[address]]


@pytest.mark.parametrize(
    ("replies", "outcome"),
    [
        ({"rcpt_reply": "550 5.1.1 no such user"}, Outcome("failed", "550 5.1.1 no such user")),
        ({"rcpt_reply": "450 4.2.1 try later"}, Outcome("retry", "450 4.2.1 try later")),
        ({"data_reply": "554 5.7.1 spam"}, Outcome("failed", "554 5.7.1 spam")),
        ({"data_reply": "452 4.3.1 disk full"}, Outcome("retry", "452 4.3.1 disk full")),
    ],
)
def test_refusals_for_good_and_for_now(replies: dict[str, str], outcome: Outcome) -> None:
    with serving() as server:
        for name, reply in replies.items():
            setattr(server, name, reply)
        assert send(server.port) == outcome
    assert server.mails == []


def test_starttls_and_login(authority: Authority) -> None:
    with serving(starttls=authority.server_context("localhost"), login=True) as server:
        login = {"smtp_security": "starttls", "smtp_username": "pilot"}
        assert send(server.port, **login, smtp_password="right-password").status == "sent"
        assert server.under_tls == [True]
        refused = send(server.port, **login, smtp_password="wrong-password")
        assert refused.status == "retry"
        assert refused.response.startswith("the mail server refused the login: 535")
        assert "wrong-password" not in refused.response
        without = send(server.port, smtp_security="starttls")
        assert (without.status, without.response[:3]) == ("failed", "530")
    assert len(server.mails) == 1


def test_tls_from_the_first_byte(authority: Authority) -> None:
    with serving(tls=authority.server_context("localhost")) as server:
        assert send(server.port, smtp_security="tls").status == "sent"
    assert len(server.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_with_another_name_gets_neither_mail_nor_password(authority: Authority, security: str) -> None:
    context = authority.server_context("other.example")
    with serving(**{security: context}) as server:  # type: ignore[arg-type]
        outcome = send(server.port, smtp_security=security, smtp_username="pilot", smtp_password="right-password")
    assert outcome.status == "retry"
    assert "certificate" in outcome.response
    assert (server.mails, server.logins) == ([], [])


def test_a_server_without_starttls_gets_neither_mail_nor_password() -> None:
    with serving() as server:
        outcome = send(server.port, smtp_security="starttls", smtp_username="pilot", smtp_password="right-password")
    assert (outcome.status, "STARTTLS" in outcome.response) == ("retry", True)
    assert (server.mails, server.logins) == ([], [])


def test_a_server_that_is_away_is_for_later() -> None:
    outcome = send(free_port())
    assert outcome.status == "retry"
    assert "refused" in outcome.response


def _say_nothing(connection: socket.socket) -> None:
    connection.recv(1)


def _greet_for_ever(connection: socket.socket) -> None:
    connection.settimeout(0.02)
    while True:  # until the sender has had enough
        connection.sendall(b"220-hello\r\n")
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            continue


def _hang_up_at_the_message(connection: socket.socket) -> None:
    connection.sendall(b"220 hello\r\n")
    for reply in (b"250 hello\r\n", b"250 OK\r\n", b"250 OK\r\n", b"354 go on\r\n"):
        connection.recv(1000)
        connection.sendall(reply)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("talk", [_say_nothing, _greet_for_ever, _hang_up_at_the_message])
def test_a_server_that_does_not_finish_is_for_later(talk: Any) -> None:
    with speaking(talk) as port:
        office = PostOffice(
            NoticeSettings(
                smtp_host="127.0.0.1",
                smtp_port=port,
                smtp_security="none",
                smtp_from="p@b.example",
                notice_timeout_s=0.3,
            )
        )
        assert office.send(a_notice(), Email("ops@example.com"), delivery_id="0195-x", now=NOW).status == "retry"


@pytest.mark.parametrize(
    ("settings", "response"),
    [
        ({}, "no mail server is set: PILOTHOUSE_SMTP_HOST"),
        ({"smtp_host": "127.0.0.1"}, "no sender is set: PILOTHOUSE_SMTP_FROM"),
        ({"smtp_host": "127.0.0.1", "smtp_username": "pilot"}, "no sender is set: PILOTHOUSE_SMTP_FROM"),
    ],
)
def test_without_settings_a_mail_fails_and_says_which(settings: dict[str, Any], response: str) -> None:
    outcome = PostOffice(NoticeSettings(**settings)).send(
        a_notice(), Email("ops@example.com"), delivery_id="0195-x", now=NOW
    )
    assert outcome == Outcome("failed", response)


def test_an_address_that_is_none_is_refused_before_the_server_is_asked(server: MailServer) -> None:
    outcome = send(server.port, "ops@example.com>\r\nRCPT TO:<victim@example.com")
    assert outcome.status == "failed"
    assert server.recipients == []


@pytest.fixture
def server() -> Any:
    """A mail server that takes everything."""
    with serving() as running:
        yield running
