"""uvicorn's HTTP protocol with admission of predictions and with an end to everything that a client can drag out."""

import asyncio
import re
from collections import deque
from functools import partial
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from api.admission import RETRY_AFTER_S, SMALL_BYTES, Admission
from api.crowd import Crowd
from api.request_cycle import QueueFlow, RequestCycle, problem_bytes

_PREDICTION = re.compile(r"/api/(?:mlops/deployments|mlops/projects|models)/[^/]+/predict/?")
_MOST_HEADER_BYTES = 64 * 1024
_MOST_DISCARDED_BYTES = 2**20
_BETWEEN, _HEADERS, _BODY = range(3)  # what arrives just now


class BoundedConfig(uvicorn.Config):
    """uvicorn's configuration, and what its connections are bounded by."""

    admission: Admission
    crowd: Crowd


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    A prediction with a small body is not begun before all of it is there: so a slow client holds no place, and one that
    is turned away costs little more than the reading of its headers.
    """

    cycle: RequestCycle
    flow: QueueFlow
    pipeline: deque[Any]

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        bounded = cast("BoundedConfig", config)
        self._admission, self._crowd = bounded.admission, bounded.crowd
        self._bounds: Final = bounded.crowd.bounds
        self._arriving = _BETWEEN
        self._since = self.loop.time()
        self._messages = 0
        self._header_bytes = 0
        self._lingers = False
        self._discarded = 0
        self._answers = 0
        self._unread: tuple[int, float] = (0, 0.0)  # the answer that is not taken, and until when it may be

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let the connection in, or say at once that there are too many."""
        super().connection_made(transport)
        self.flow = QueueFlow(transport)
        if not self._crowd.enter(self):
            self._say(503, "There are too many connections: try again soon", retry_after_s=RETRY_AFTER_S)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._crowd.leave(self)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer a client that says no more but has asked for something; then, or else at once, close."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body or self.scheme == "https":
            return None
        cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Read on, unless the answer is out already or the headers never end."""
        if self._lingers:
            self._discard(len(data))
            return
        messages = self._messages
        super().data_received(data)
        if self._arriving == _HEADERS and self._messages == messages:
            self._header_bytes += len(data)
            if self._header_bytes > _MOST_HEADER_BYTES:
                self._refuse(431, f"Headers may take {_MOST_HEADER_BYTES // 1024} KiB")

    def on_message_begin(self) -> None:
        """Begin to wait for headers."""
        super().on_message_begin()
        self._arriving, self._header_bytes, self._since = _HEADERS, 0, self.loop.time()
        self._messages += 1
        self._crowd.begin(self)

    def on_headers_complete(self) -> None:
        """Take the request's turn, or queue it behind the one before."""
        before, self.cycle = self.cycle, self._make_cycle()
        self._arriving, self._since = _BODY, self.loop.time()
        if before is None or before.response_complete:
            self._begin(self.cycle)
        else:
            self.flow.is_held = True
            self.flow.pause_reading()
            self.pipeline.appendleft(self.cycle)

    def _make_cycle(self) -> RequestCycle:
        url, version, scope = httptools.parse_url(self.url), self.parser.get_http_version(), self.scope
        path = url.path.decode("ascii")
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode("ascii") + url.path
        scope["query_string"] = url.query or b""
        cycle = RequestCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        cycle.is_prediction = scope["method"] == "POST" and _PREDICTION.fullmatch(scope["path"]) is not None
        return cycle

    def _begin(self, cycle: RequestCycle) -> None:
        """Start what has its turn; a small prediction waits for all of its body first."""
        if not cycle.is_prediction:
            self._start_asgi_task(cycle, self.app)
        elif cycle.more_body and cycle.body_bytes <= SMALL_BYTES:
            cycle.waits = True
            cycle.invite_body()
        else:
            self._admit(cycle)

    def _admit(self, cycle: RequestCycle) -> None:
        cycle.waits = False
        ticket = self._admission.admit(cycle.body_bytes)
        if ticket is None:
            self._turn_away(cycle)
        else:
            cycle.take(ticket)
            self._admission.turnstile.enter(partial(self._start, cycle))

    def _start(self, cycle: RequestCycle) -> None:
        if cycle.disconnected and cycle.ticket is not None:
            cycle.ticket.close()  # gone before its turn came: nobody waits for the answer
        else:
            self._start_asgi_task(cycle, self.app)

    def _turn_away(self, cycle: RequestCycle) -> None:
        cycle.response_started = cycle.response_complete = True
        stays = cycle.keep_alive and not cycle.more_body
        detail = "More predictions are asked for than can be answered in time: try again soon"
        self._say(503, detail, retry_after_s=RETRY_AFTER_S, path=cycle.scope["path"], stays=stays)
        if not stays and not cycle.more_body:
            self.transport.close()
        if self.pipeline:
            self.loop.call_soon(self.on_response_complete)  # not from here: there may be thousands
        else:
            self.on_response_complete()

    def on_body(self, body: bytes) -> None:
        """Keep what has come; a body that turns out to be large is let in as such, or turned away."""
        super().on_body(body)
        cycle = self.cycle
        if cycle.waits and len(cycle.body) > SMALL_BYTES:
            self._admit(cycle)
        elif cycle.ticket is not None:
            cycle.received(len(body))

    def on_message_complete(self) -> None:
        """Begin what waited for its body."""
        super().on_message_complete()
        self._arriving = _BETWEEN
        if self.cycle.waits:
            self._admit(self.cycle)

    def on_response_complete(self) -> None:
        """Go on with the next request, if there is one; else rest, or end where the body never came."""
        self.server_state.total_requests += 1
        self._answers += 1
        if self.transport.is_closing():
            return
        following = self.pipeline.pop() if self.pipeline else None
        self.flow.is_held = bool(self.pipeline)
        self.flow.resume_reading()
        if following is not None:
            self._begin(following)
        elif self._arriving == _BODY and self.cycle.response_complete:
            self._linger()
        elif self._arriving == _BETWEEN:
            self._since = self.loop.time()
            self._crowd.rest(self)

    def _linger(self) -> None:
        """Stop talking, and read what still comes for a little while: a hard end could cost the client its answer."""
        self._lingers, self._since = True, self.loop.time()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _discard(self, size: int) -> None:
        """Throw away what comes after the answer; of too much, read no more until the end."""
        self._discarded += size
        if self._discarded > _MOST_DISCARDED_BYTES:
            self.flow.pause_reading()

    def end(self) -> None:
        """Close an idle connection, and its answer with it when nobody took that."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def check(self, now: float) -> None:
        """End what takes too long."""
        waited = now - self._since
        if self._is_unread(now) or (self._lingers and waited > self._bounds.linger_s):
            self._crowd.timed_out += 1
            self.transport.abort()
        elif self._lingers or self.transport.is_closing():
            return
        elif self.flow.read_paused:
            self._since = now  # it is not the client that is slow
        elif self._arriving == _BETWEEN:
            if waited > self._bounds.idle_s and (self.cycle is None or self.cycle.response_complete):
                self.transport.close()
        elif waited > (self._bounds.headers_s if self._arriving == _HEADERS else self._bounds.body_s):
            self._end_slow(now)

    def _is_unread(self, now: float) -> bool:
        """Say whether the client leaves its answer lying for longer than it may."""
        size = self.transport.get_write_buffer_size()
        answer, until = self._unread
        if not size:
            self._unread = (0, 0.0)
        elif not until or answer != self._answers:
            self._unread = (self._answers, now + self._bounds.answer_s + size / self._bounds.answer_bytes_a_second)
        return bool(size and until and answer == self._answers and now > until)

    def _end_slow(self, now: float) -> None:
        cycle = self.cycle
        if self._arriving == _BODY and cycle.has_own_patience:
            return
        self._crowd.timed_out += 1
        if self._arriving == _HEADERS or cycle.waits:
            self._refuse(408, "The request did not arrive in time")
        elif cycle.too_slow is None:
            cycle.end_body(f"The body did not arrive within {self._bounds.body_s:g} s")
            self._since = now
        else:
            self.transport.abort()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer what cannot be read, unless another answer is still under way, and close."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.waits:
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        if cycle is not None:
            cycle.waits, cycle.response_complete = False, True
        self._say(status, detail)
        self._linger()

    def _say(
        self, status: int, detail: str, *, retry_after_s: int | None = None, path: str = "", stays: bool = False
    ) -> None:
        head = self.server_state.default_headers
        self.transport.write(problem_bytes(status, detail, head, retry_after_s=retry_after_s, path=path, stays=stays))
