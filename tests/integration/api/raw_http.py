"""HTTP by hand, for what no client library does: half requests, slow ones, too many of them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

PATIENCE_S = 20


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    """Yield a plain connection to a server."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S) as opened:
        yield opened


def request(method: str, path: str, body: bytes = b"", *, key: str | None = None, **headers: str | int) -> bytes:
    """Return a request as it goes over the wire; `Content_Length` and the like override what follows from the body."""
    lines = {"Host": "test", "Content-Type": "application/json", "Content-Length": len(body)}
    if key:
        lines["Authorization"] = f"Bearer {key}"
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    if "Transfer-Encoding" in lines:
        del lines["Content-Length"]
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *[f"{name}: {value}" for name, value in lines.items()]])
    return head.encode() + b"\r\n\r\n" + body


def read_all(connection: socket.socket) -> bytes:
    """Return all that comes until the server ends the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of one answer."""
    taken = b""
    while b"\r\n\r\n" not in taken:
        taken += _some(connection)
    head, _, body = taken.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += _some(connection)
    return int(first.split()[1]), headers, body


def _some(connection: socket.socket) -> bytes:
    part = connection.recv(65536)
    if not part:
        raise EOFError("the server ended the connection")
    return part
