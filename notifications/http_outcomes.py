"""What an HTTP answer, or the lack of one, means for a delivery."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore

from notifications.http_transport import Answer
from notifications.outcome import Outcome
from notifications.wording import one_line

SHOWN_OF_BODY = 200
MASK = "********"


def outcome_of(answer: Answer, *, secrets: Iterable[str], now: datetime) -> Outcome:
    """2xx: sent. 408, 429 and 5xx: retry, not before Retry-After. All else, redirects included: failed."""
    masked = sorted(filter(None, secrets), key=len, reverse=True)
    line = f"{answer.status} {_without(masked, answer.phrase)}".strip()
    if 200 <= answer.status < 300:
        return Outcome("sent", one_line(line, SHOWN_OF_BODY))
    if 300 <= answer.status < 400:
        return Outcome("failed", one_line(f"{line}: redirects are not followed", SHOWN_OF_BODY))
    body = _without(masked, answer.body.decode("utf-8", "replace"))
    response = one_line(f"{line}: {body}" if body.strip() else line, SHOWN_OF_BODY + len(line))
    if answer.status in {408, 429} or answer.status >= 500:
        return Outcome("retry", response, retry_after_s(answer.headers.get("retry-after"), now))
    return Outcome("failed", response)


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header, seconds or an HTTP date (RFC 9110, 10.2.3); None when absent or unreadable."""
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def outcome_of_error(error: Exception, *, timeout_s: float) -> Outcome:
    """Say what came of a request that got no answer; such a request may be tried again."""
    if isinstance(error, httpcore.ConnectTimeout):
        return Outcome("retry", f"could not connect within {timeout_s:.3g} s")
    if isinstance(error, httpcore.TimeoutException):
        return Outcome("retry", f"no whole answer within {timeout_s:.3g} s")
    if isinstance(error, httpcore.ConnectError):
        return Outcome("retry", one_line(f"could not connect: {error}", SHOWN_OF_BODY))
    if isinstance(error, httpcore.NetworkError):
        return Outcome("retry", "the connection broke before the answer was whole")
    return Outcome("retry", "the receiver did not answer in HTTP")
