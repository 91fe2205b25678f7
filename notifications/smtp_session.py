"""One mail handed to the mail server, within a bound of time, and what the server said."""

import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from notifications.outcome import Outcome
from notifications.wording import one_line

SHOWN_OF_REPLY = 300


@dataclass(frozen=True)
class MailServer:
    """Where mail is handed over, and as whom."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    username: str | None
    password: str | None = field(repr=False)


class ServerUnusable(Exception):
    """The server cannot be talked to as configured: away, no TLS, or the login refused. Says nothing of the mail."""


def hand_over(server: MailServer, tls: ssl.SSLContext, mail: tuple[str, str, bytes], *, timeout_s: float) -> Outcome:
    """Hand (sender, recipient, message) over; sent once the server took the message.

    A 4xx reply, a broken connection and trouble before the mail was offered (TLS, login) may pass: retry. A 5xx reply
    to the mail itself: failed.
    """
    try:
        with _session(server, tls, timeout_s) as session:
            return _offer(session, *mail)
    except ServerUnusable as unusable:
        return Outcome("retry", _redact(one_line(str(unusable), SHOWN_OF_REPLY), server))
    except smtplib.SMTPResponseException as refused:
        return _outcome(refused.smtp_code, refused.smtp_error)
    except (OSError, smtplib.SMTPException):
        return Outcome("retry", "the connection to the mail server broke before it took the message")


def _offer(session: smtplib.SMTP, sender: str, recipient: str, message: bytes) -> Outcome:
    code, reply = session.mail(sender)
    if code == 250:
        code, reply = session.rcpt(recipient)
    if code not in {250, 251}:
        return _outcome(code, reply)
    return _outcome(*session.data(message))


def _outcome(code: int, reply: bytes | str) -> Outcome:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    status: Literal["sent", "retry", "failed"] = "retry"
    if code == 250:
        status = "sent"
    elif 500 <= code < 600:
        status = "failed"
    return Outcome(status, one_line(f"{code} {text}", SHOWN_OF_REPLY))


def _redact(text: str, server: MailServer) -> str:
    return text.replace(server.password, "********") if server.password else text


@contextlib.contextmanager
def _session(server: MailServer, tls: ssl.SSLContext, timeout_s: float) -> Iterator[smtplib.SMTP]:
    session = _open(server, tls, timeout_s)
    try:
        yield session
        with contextlib.suppress(OSError, smtplib.SMTPException):
            session.quit()
    finally:
        session.end()


def _open(server: MailServer, tls: ssl.SSLContext, timeout_s: float) -> "_BoundedSession":
    session: _BoundedSession = _TlsSession(tls, timeout_s) if server.security == "tls" else _BoundedSession(timeout_s)
    try:
        session.open(server.host, server.port)
        if server.security == "starttls":
            session.starttls(context=tls)
        session.ehlo_or_helo_if_needed()
        if server.username and server.password:
            session.login(server.username, server.password)
    except smtplib.SMTPAuthenticationError as refused:
        session.end()
        reply = refused.smtp_error
        text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
        raise ServerUnusable(f"the mail server refused the login: {refused.smtp_code} {text}") from refused
    except (OSError, smtplib.SMTPException) as error:
        session.end()
        raise ServerUnusable(f"cannot use the mail server {server.host}:{server.port}: {error}") from error
    return session


class _BoundedSession(smtplib.SMTP):
    """An SMTP session that is cut at its deadline, whatever the server dribbles."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(local_hostname=_own_name(), timeout=timeout_s)
        self._late = threading.Event()
        self._clock = threading.Timer(timeout_s, self._cut)
        self._clock.daemon = True
        self._clock.start()

    def open(self, host: str, port: int) -> None:
        """Connect and read the greeting; raises as smtplib does, and SMTPConnectError for another reply than 220."""
        self._host = host  # what starttls checks the certificate against
        code, reply = self.connect(host, port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, reply)

    def end(self) -> None:
        """Close, and stop the clock."""
        self._clock.cancel()
        self.close()

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply; raises TimeoutError after the deadline."""
        if self._late.is_set():
            raise TimeoutError("out of time")
        return super().getreply()

    def _cut(self) -> None:
        self._late.set()
        sock = self.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class _TlsSession(_BoundedSession):
    """The same under TLS from the first byte."""

    def __init__(self, tls: ssl.SSLContext, timeout_s: float) -> None:
        super().__init__(timeout_s)
        self._tls = tls

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        return self._tls.wrap_socket(plain, server_hostname=host)


def _own_name() -> str:
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"
