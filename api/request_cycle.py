"""One request on a connection, from its headers to its answer."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from api.admission import Ticket
from api.errors import TooSlow

_UPLOAD = re.compile(r"/api/projects/[^/]+/models/?")


class QueueFlow(FlowControl):
    """Reads nothing more while `is_held`: requests wait behind the one that is being answered."""

    is_held = False

    def resume_reading(self) -> None:
        """Read on, unless enough has come already."""
        if not self.is_held:
            super().resume_reading()


class RequestCycle(RequestResponseCycle):
    """uvicorn's cycle, with a ticket for predictions and an end to bodies that do not come."""

    is_prediction = False
    waits = False
    ticket: Ticket | None = None
    too_slow: TooSlow | None = None
    _received = 0

    @property
    def body_bytes(self) -> int:
        """How long the body is, as far as that is known."""
        for name, value in self.scope["headers"]:
            if name == b"content-length":
                return int(value)
        return len(self.body)

    @property
    def has_own_patience(self) -> bool:
        """Say whether the route itself watches over how long the body takes."""
        return self.scope["method"] == "POST" and _UPLOAD.fullmatch(self.scope["path"]) is not None

    def invite_body(self) -> None:
        """Tell a client that waits for a word before it sends its body to send it."""
        if self.waiting_for_100_continue:
            self.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def take(self, ticket: Ticket) -> None:
        """Hold a ticket until the answer has left."""
        self.ticket = ticket
        self._received = len(self.body)
        self.scope["extensions"] = {"ticket": ticket}  # type: ignore[dict-item]

    def received(self, size: int) -> None:
        """Count more of a body."""
        self._received += size
        if self.ticket is not None and self.more_body:
            self.ticket.grow(self._received)

    def end_body(self, reason: str) -> None:
        """Have the reader of the body told that it takes too long."""
        self.too_slow = TooSlow(reason)
        self.message_event.set()

    async def run_asgi(self, app: Any) -> None:  # noqa: ANN401 - as uvicorn's own
        """Answer, and give the ticket back whatever happens."""
        try:
            await super().run_asgi(app)
        finally:
            if self.ticket is not None:
                self.ticket.close()

    async def receive(self) -> ASGIReceiveEvent:
        """Return what has come. Raises TooSlow when the rest of the body takes too long."""
        event = await super().receive()
        if self.too_slow is not None and self.more_body and not self.response_started:
            raise self.too_slow
        return event

    async def send(self, message: ASGISendEvent) -> None:
        """Send; the connection ends, slowly, after an answer to a body that has not all come."""
        if self.more_body:
            # Not kept alive, so the client is told; but it is the protocol that closes, not the cycle.
            self.keep_alive = message["type"] != "http.response.start"
        await super().send(message)


def problem_bytes(
    status: int,
    detail: str,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    retry_after_s: int | None,
    path: str,
    stays: bool,
) -> bytes:
    """Return a whole answer with a problem document, for what never reaches the application."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    body = msgspec.json.encode(content | {"instance": path} if path else content)
    lines = [STATUS_LINE[status], *[b"%s: %s\r\n" % header for header in headers]]
    if retry_after_s is not None:
        lines.append(b"retry-after: %d\r\n" % retry_after_s)
    lines.append(b"content-type: application/problem+json\r\ncontent-length: %d\r\n" % len(body))
    lines.append(b"\r\n" if stays else b"connection: close\r\n\r\n")
    return b"".join([*lines, body])
