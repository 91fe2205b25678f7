"""One process that serves the API: alone, or as a member of a team that shares a listening socket.

Run as `python -m api.worker FD` it serves the socket that it inherited.
"""

import socket
import sys

import uvicorn

from api.app import create_app
from api.cli.errors import read_settings
from api.connections import bounded_config
from api.settings import Settings


def serve(settings: Settings, listening: socket.socket | None = None) -> None:
    """Serve until a signal, on a socket that listens already or on the host and port of the settings."""
    config = bounded_config(create_app(settings), settings)
    uvicorn.Server(config).run(sockets=[listening] if listening else None)


if __name__ == "__main__":
    serve(read_settings(), socket.socket(fileno=int(sys.argv[1])))
