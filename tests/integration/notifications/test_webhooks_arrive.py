"""Webhooks and Slack messages handed to real receivers, and what their answers come to."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
import standardwebhooks

from notifications.channels import Slack, Webhook
from notifications.post_office import Outcome, PostOffice
from tests.integration.notifications.certificates import Authority
from tests.integration.notifications.conftest import loopback_office
from tests.integration.notifications.receivers import Receiver, free_port, receiving, speaking
from tests.unit.notifications.notices import LINK, SECRET, a_notice


def send(office: PostOffice, destination: Slack | Webhook, delivery_id: str = "0195-x") -> Outcome:
    return office.send(a_notice(), destination, delivery_id=delivery_id, now=datetime.now(UTC))


def test_a_webhook_arrives_signed_and_the_same_at_each_attempt(receiver: Receiver) -> None:
    office = loopback_office()
    webhook = Webhook(receiver.url, {"Authorization": "Bearer k"}, SECRET)
    assert [send(office, webhook), send(office, webhook)] == [Outcome("sent", "200 OK")] * 2
    first, second = receiver.received
    assert first.path == "/in?a=b"
    assert first.headers["authorization"] == "Bearer k"
    assert first.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert first.body == second.body
    assert standardwebhooks.Webhook(SECRET).verify(first.body, first.headers)["link"] == LINK
    for name in ("webhook-id", "idempotency-key"):
        assert first.headers[name] == second.headers[name] == "0195-x"


def test_a_slack_message_arrives(receiver: Receiver) -> None:
    assert send(loopback_office(), Slack(receiver.url)).status == "sent"
    (message,) = receiver.received
    assert json.loads(message.body)["blocks"][0]["type"] == "header"
    assert "webhook-id" not in message.headers


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (204, {}, Outcome("sent", "204 No Content")),
        (404, {}, Outcome("failed", "404 Not Found: no_team")),
        (429, {"Retry-After": "30"}, Outcome("retry", "429 Too Many Requests: no_team", 30)),
        (503, {}, Outcome("retry", "503 Service Unavailable: no_team")),
    ],
)
def test_answers(receiver: Receiver, status: int, headers: dict[str, str], outcome: Outcome) -> None:
    receiver.answer = (status, headers, b"" if status == 204 else b"no_team\n")
    assert send(loopback_office(), Slack(receiver.url)) == outcome


def test_retry_after_as_a_date(receiver: Receiver) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    receiver.answer = (503, {"Retry-After": format_datetime(now.replace(minute=5), usegmt=True)}, b"")
    assert loopback_office().send(a_notice(), Webhook(receiver.url), delivery_id="0195-x", now=now) == Outcome(
        "retry", "503 Service Unavailable", 300
    )


def test_a_receiver_that_repeats_the_request_gives_no_secret_away(receiver: Receiver) -> None:
    office = loopback_office()
    slack = Slack(f"http://127.0.0.1:{receiver.port}/services/T0/B0/verysecret")
    receiver.answer = (400, {}, f"{slack.webhook_url} /services/T0/B0/verysecret verysecret".encode())
    assert "verysecret" not in send(office, slack).response
    receiver.answer = (400, {}, f"Bearer verysecret {SECRET} {SECRET.removeprefix('whsec_')}".encode())
    response = send(office, Webhook(receiver.url, {"Authorization": "Bearer verysecret"}, SECRET)).response
    assert response == "400 Bad Request: ******** ******** ********"


def test_nobody_there_is_for_later() -> None:
    outcome = send(loopback_office(), Webhook(f"http://127.0.0.1:{free_port()}/"))
    assert (outcome.status, outcome.response) == ("retry", "could not connect: [Errno 111] Connection refused")


def _hang_up(connection: socket.socket) -> None:
    connection.recv(10)


def _talk_nonsense(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"220 mail.example ESMTP\r\n")


def _break_off(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


@pytest.mark.parametrize("talk", [_hang_up, _talk_nonsense, _break_off])
def test_an_answer_that_is_not_whole_is_no_answer(talk: object) -> None:
    with speaking(talk) as port:  # type: ignore[arg-type]
        assert send(loopback_office(), Webhook(f"http://127.0.0.1:{port}/")).status == "retry"


def _dribble(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:  # until the sender has had enough and closes
        connection.sendall(b"x")
        connection.settimeout(0.02)
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            continue


@pytest.mark.timeout(60)
def test_a_receiver_cannot_stretch_a_send_byte_by_byte() -> None:
    with speaking(_dribble) as port:
        outcome = send(loopback_office(notice_timeout_s=0.3), Webhook(f"http://127.0.0.1:{port}/"))
    assert outcome == Outcome("retry", "no whole answer within 0.3 s")


def _pour(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 410 Gone\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


@pytest.mark.timeout(60)
def test_an_endless_answer_is_read_no_further_than_needed() -> None:
    with speaking(_pour) as port:
        outcome = send(loopback_office(), Webhook(f"http://127.0.0.1:{port}/"))
    assert outcome.status == "failed"
    assert len(outcome.response) < 300


def test_many_at_once_do_not_mix(receiver: Receiver) -> None:
    office = loopback_office()
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda n: send(office, Webhook(receiver.url), f"id-{n}"), range(100)))
    assert {outcome.status for outcome in outcomes} == {"sent"}
    assert sorted(one.headers["webhook-id"] for one in receiver.received) == sorted(f"id-{n}" for n in range(100))


def test_tls_is_checked_against_the_name_in_the_url(authority: Authority) -> None:
    with receiving(tls=authority.server_context("hooks.example")) as secure:
        office = loopback_office()
        url = f"https://hooks.example:{secure.port}/"
        assert send(office, Webhook(url)).status == "sent"
        assert secure.received[0].headers["host"] == f"hooks.example:{secure.port}"
        assert secure.server_names == ["hooks.example"]
        assert send(office, Webhook(url.replace("hooks.", "other."))).response.startswith("could not connect: [SSL:")
        assert send(office, Webhook(url.replace("hooks.example", "127.0.0.1"))).status == "retry"
    assert len(secure.received) == 1


def test_a_certificate_of_an_unknown_authority_is_refused(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with receiving(tls=authority.server_context("hooks.example")) as secure:
        outcome = send(loopback_office(), Webhook(f"https://hooks.example:{secure.port}/"))
    assert outcome.status == "retry"
    assert "certificate" in outcome.response
    assert secure.received == []
