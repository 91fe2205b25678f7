"""HTTP receivers on loopback that remember what they were handed, and may be slow, refuse, or never answer."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str]]


@dataclass(frozen=True)
class Received:
    """One request: the delivery's id, its body, and the instant (monotonic) it was there whole."""

    webhook_id: str
    body: dict[str, Any]
    at: float


@dataclass
class Receiver:
    """Answers each request as `answer` says, after `delay_s`."""

    answer: Callable[[Received], Answer] = lambda _received: (200, {})
    delay_s: float = 0.0
    received: list[Received] = field(default_factory=list)
    url: str = ""

    def ids(self) -> list[str]:
        return [one.webhook_id for one in self.received]

    def take(self, received: Received) -> Answer:
        self.received.append(received)
        time.sleep(self.delay_s)
        return self.answer(received)


@contextmanager
def serving(receiver: Receiver) -> Iterator[Receiver]:
    """Serve a receiver on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            if len(sent) < int(self.headers["Content-Length"]):
                return  # the sender died over it
            body = json.loads(sent)
            status, headers = receiver.take(Received(self.headers["webhook-id"], body, time.monotonic()))
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def handle(self) -> None:
            with suppress(ConnectionError):  # the sender died over it
                super().handle()

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def deaf_port() -> Iterator[str]:
    """Yield the URL of a port that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
