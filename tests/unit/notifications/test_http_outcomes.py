"""What an answer means for a delivery."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from notifications.http_outcomes import outcome_of, retry_after_s
from notifications.http_transport import Answer
from notifications.outcome import Outcome
from tests.unit.notifications.notices import NOW


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, "sent") for status in (200, 201, 202, 204, 299)),
        *((status, "retry") for status in (408, 429, 500, 502, 503, 504, 599)),
        *((status, "failed") for status in (101, 300, 301, 302, 307, 308, 400, 401, 403, 404, 410, 422, 499)),
    ],
)
def test_statuses(status: int, expected: str) -> None:
    assert outcome_of(Answer(status, "", {}, b""), secrets=(), now=NOW).status == expected


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("9" * 400, None),
        (format_datetime(NOW + timedelta(minutes=2), usegmt=True), 120.0),
        (format_datetime(NOW - timedelta(minutes=2), usegmt=True), 0.0),
        ("Sun, 01 Mar 2026 12:02:00 -0000", 120.0),
        ("Sun, 99 Mar 2026 12:02:00 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


def test_retry_after_counts_only_where_a_retry_follows() -> None:
    for status, seconds in ((429, 7.0), (503, 7.0), (408, 7.0), (404, None), (200, None)):
        assert outcome_of(Answer(status, "", {"retry-after": "7"}, b""), secrets=(), now=NOW).retry_after_s == seconds


def test_the_response_is_one_short_line_without_secrets() -> None:
    body = b"Bad\r\nkey \x1b[31mverysecret-long and verysecret\xff" + b"x" * 9000
    outcome = outcome_of(Answer(403, "For\rbidden", {}, body), secrets=("verysecret", "verysecret-long", ""), now=NOW)
    assert outcome == Outcome("failed", outcome.response)
    assert outcome.response.startswith("403 For bidden: Bad key [31m******** and ********")
    assert len(outcome.response) <= 500
    assert outcome.response.isprintable()


@pytest.mark.parametrize("status", [200, 302, 404, 503])
def test_a_secret_in_the_reason_phrase_is_masked(status: int) -> None:
    outcome = outcome_of(Answer(status, "no hunter2 here", {}, b""), secrets=["hunter2"], now=NOW)
    assert "hunter2" not in outcome.response
    assert outcome.response.startswith(f"{status} no ******** here")
