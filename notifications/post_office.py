"""The counter of the post office: a notice and a destination in, what became of it out."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import httpcore
import httpx

from notifications import mail_message, slack_message, webhook_message
from notifications.addresses import AddressGuard, DestinationRefused, NameUnresolved, Resolver, resolve_by_system
from notifications.allow_list import AllowList
from notifications.apprise_channels import HttpChannel, MailChannel, notify
from notifications.channels import Destination, Email, Slack
from notifications.http_outcomes import outcome_of, outcome_of_error
from notifications.http_transport import HttpTransport
from notifications.mail_addresses import AddressRefused, parse_mailbox, parse_sender
from notifications.notice import Notice
from notifications.outcome import Outcome
from notifications.settings import NoticeSettings
from notifications.smtp_session import MailServer, hand_over
from notifications.web_urls import UrlRefused, parse_url

__all__ = ["Outcome", "PostOffice"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Parcel:
    notice: Notice
    delivery_id: str
    now: datetime


class PostOffice:
    """Hands notices over, one at a time, from any thread; retries nothing (the outbox does).

    One send ends within `notice_timeout_s`; looking up and connecting to the mail server may take as long again.
    """

    def __init__(self, settings: NoticeSettings, *, resolve: Resolver = resolve_by_system) -> None:
        self._settings = settings
        self._tls = httpx.create_ssl_context()
        guard = AddressGuard(AllowList.parse(settings.allowed_addresses or ""), resolve)
        self._http = HttpTransport(guard, timeout_s=settings.notice_timeout_s, tls=self._tls)

    def send(self, notice: Notice, destination: Destination, *, delivery_id: str, now: datetime) -> Outcome:
        """Hand one notice over and say what became of it; a send that fails is an outcome, never an exception."""
        parcel = _Parcel(notice, delivery_id, now)
        try:
            if isinstance(destination, Email):
                return self._mail(parcel, destination.address)
            return notify(HttpChannel(lambda: self._post(parcel, destination)), notice)
        except (AddressRefused, UrlRefused, DestinationRefused) as refused:
            return Outcome("failed", str(refused))
        except Exception as error:
            # Its text may hold what a channel keeps secret.
            _log.error("notice %s could not be sent: %s", notice.notice_id, type(error).__name__)
            return Outcome("retry", f"could not be sent: {type(error).__name__}")

    def _post(self, parcel: _Parcel, destination: Destination) -> Outcome:
        url, headers, body, secrets = _letter(parcel, destination)
        try:
            answer = self._http.post(parse_url(url), headers, body)
        except (UrlRefused, DestinationRefused) as refused:
            return Outcome("failed", str(refused))
        except NameUnresolved as unresolved:
            return Outcome("retry", str(unresolved))
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            return outcome_of_error(error, timeout_s=self._settings.notice_timeout_s)
        return outcome_of(answer, secrets=secrets, now=parcel.now)

    def _mail(self, parcel: _Parcel, address: str) -> Outcome:
        settings = self._settings
        sender = settings.smtp_from or settings.smtp_username
        if not settings.smtp_host:
            return Outcome("failed", "no mail server is set: PILOTHOUSE_SMTP_HOST")
        if not sender or "@" not in sender:
            return Outcome("failed", "no sender is set: PILOTHOUSE_SMTP_FROM")
        name, sender_address = parse_sender(sender)
        recipient = parse_mailbox(address)
        password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
        server = MailServer(
            settings.smtp_host, settings.smtp_port, settings.smtp_security, settings.smtp_username, password
        )
        message = mail_message.compose(
            parcel.notice,
            sender=(name, sender_address),
            recipient=recipient,
            delivery_id=parcel.delivery_id,
            now=parcel.now,
        )
        mail = (sender_address, recipient, message.as_bytes())
        channel = MailChannel(
            server,
            sender_address,
            recipient,
            lambda: hand_over(server, self._tls, mail, timeout_s=settings.notice_timeout_s),
        )
        return notify(channel, parcel.notice)


def _letter(parcel: _Parcel, destination: Destination) -> tuple[str, Mapping[str, str], bytes, list[str]]:
    """Return URL, headers, body, and what the answer must not be shown to repeat."""
    if isinstance(destination, Slack):
        url = destination.webhook_url
        secrets = [url, url.partition("://")[2].partition("/")[2], url.rpartition("/")[2]]
        return url, {"Content-Type": "application/json"}, slack_message.compose(parcel.notice), secrets
    if isinstance(destination, Email):
        raise TypeError("mail goes by SMTP")
    body = webhook_message.compose(parcel.notice)
    headers = webhook_message.headers_for(
        body, delivery_id=parcel.delivery_id, now=parcel.now, secret=destination.secret, extra=destination.headers
    )
    key = destination.secret.removeprefix("whsec_") if destination.secret else ""
    return destination.url, headers, body, [*destination.headers.values(), destination.secret or "", key]
