"""One guarded HTTP request: to a checked address, no redirect, no proxy, little read, within a bound of time."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ssl import SSLContext

import httpcore
import httpx

from notifications.addresses import AddressGuard
from notifications.web_urls import WebUrl

MOST_READ = 4096


@dataclass(frozen=True)
class Answer:
    """What a receiver answered: the status, its headers in lower case, and the first 4 KB of the body."""

    status: int
    phrase: str
    headers: Mapping[str, str]
    body: bytes


class HttpTransport:
    """Sends POST requests through the address guard. Thread-safe; keeps no connection and no cookie.

    Certificates are checked against certifi's authorities, or those of SSL_CERT_FILE. Proxy variables are ignored:
    a proxy would resolve the name again, out of the guard's sight.
    """

    def __init__(self, guard: AddressGuard, *, timeout_s: float, tls: SSLContext | None = None) -> None:
        self._guard = guard
        self._timeout_s = timeout_s
        self._tls = tls or httpx.create_ssl_context()

    def post(self, url: WebUrl, headers: Mapping[str, str], content: bytes) -> Answer:
        """Post the content and return the answer.

        Raises DestinationRefused or NameUnresolved (the guard), httpcore.TimeoutException, httpcore.NetworkError,
        httpcore.ProtocolError.
        """
        deadline = time.monotonic() + self._timeout_s
        addresses = self._guard.check(url, timeout_s=self._timeout_s)
        backend = _PinnedBackend(addresses, deadline)
        scheme, host = url.scheme.encode(), url.host.encode()
        connection = httpcore.HTTPConnection(
            httpcore.Origin(scheme, host, url.port), ssl_context=self._tls, network_backend=backend
        )
        fixed = {"Host": url.authority, "Content-Length": str(len(content)), "Connection": "close"}
        sent = [(name.encode(), value.encode()) for name, value in (fixed | dict(headers)).items()]
        target = httpcore.URL(scheme=scheme, host=host, port=url.port, target=url.target.encode())
        extensions = {"sni_hostname": url.host.rstrip(".")}
        try:
            with connection.stream("POST", target, headers=sent, content=content, extensions=extensions) as response:
                return _answer(response)
        finally:
            connection.close()


def _answer(response: httpcore.Response) -> Answer:
    body = b""
    for chunk in response.iter_stream():
        body += chunk
        if len(body) >= MOST_READ:
            break
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    phrase = response.extensions.get("reason_phrase", b"").decode("latin-1")
    return Answer(response.status, phrase, headers, body[:MOST_READ])


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects to the checked addresses, whatever host it is asked for."""

    def __init__(self, addresses: list[str], deadline: float) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the guard resolved it
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline binds
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers; each gets an even share of the time left."""
        for waiting, address in zip(range(len(self._addresses), 0, -1), self._addresses, strict=True):
            share = _left(self._deadline, httpcore.ConnectTimeout) / waiting
            try:
                stream = self._sockets.connect_tcp(address, port, share, local_address, socket_options)
                return _BoundedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if waiting == 1:
                    raise
        raise httpcore.ConnectError("no address to connect to")


class _BoundedStream(httpcore.NetworkStream):
    """A stream whose every operation ends by one deadline, so that a receiver cannot stretch a send byte by byte."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Read what has come."""
        return self._stream.read(max_bytes, _left(self._deadline, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Write it all."""
        self._stream.write(buffer, _left(self._deadline, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the socket."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Shake hands, checking the certificate against the URL's name."""
        left = _left(self._deadline, httpcore.ConnectTimeout)
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> object:
        """Answer httpcore's questions about the socket."""
        return self._stream.get_extra_info(info)


def _left(deadline: float, late: type[httpcore.TimeoutException]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise late("out of time")
    return left
