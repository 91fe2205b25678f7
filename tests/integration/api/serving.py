"""A real server for tests: uvicorn on a free loopback port, in a thread."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from litestar import Litestar

from api.connections import bounded_config


@contextmanager
def served(app: Litestar) -> Iterator[str]:
    """Serve the app, its lifespan included, and yield its base URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = bounded_config(app, app.state.settings, log_level="warning", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    if not server.started:
        raise RuntimeError("the server did not start")
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
