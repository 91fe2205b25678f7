"""Proof that the database server runs for nobody: then nothing can change meanwhile."""

import asyncio
import struct
from pathlib import Path

from sqlalchemy import make_url

_PATIENCE_S = 1.0
_PROTOCOL = 196608  # 3.0
_CANNOT_CONNECT_NOW = b"57P03"  # starting up, shutting down, recovering
_ERROR = b"E"


async def is_server_gone(url: str) -> bool:
    """Say whether the server is proven to let nobody in: its unix socket is missing, refuses, or says so itself.

    Over TCP nothing proves it: others may reach what we do not.
    """
    socket = _socket(url)
    if socket is None:
        return False
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await _asked(socket) == _CANNOT_CONNECT_NOW
    except (FileNotFoundError, ConnectionRefusedError):
        return True
    except (OSError, TimeoutError, asyncio.IncompleteReadError, struct.error):
        return False


def _socket(url: str) -> Path | None:
    parts = make_url(url)
    host = parts.query.get("host", parts.host)
    if not isinstance(host, str) or not host.startswith("/") or "," in host:
        return None
    return Path(host) / f".s.PGSQL.{parts.port or parts.query.get('port', 5432)}"


async def _asked(socket: Path) -> bytes | None:
    """Return the SQLSTATE with which the server turns a new connection away, None when it does not."""
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        start = struct.pack("!I", _PROTOCOL) + b"user\0pilothouse\0database\0pilothouse\0\0"
        writer.write(struct.pack("!I", len(start) + 4) + start)
        kind, length = struct.unpack("!cI", await reader.readexactly(5))
        if kind != _ERROR:
            return None
        fields = (await reader.readexactly(length - 4)).split(b"\0")
        return next((field[1:] for field in fields if field.startswith(b"C")), None)
    finally:
        writer.transport.abort()
