"""A mail server on loopback that keeps what it gets in a folder, for who has none and wants to see a notice arrive."""

import os
import socket
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from api.supervisor.home import Home

_HOST = "127.0.0.1"
_SUFFIX = ".eml"
_KEPT = 200
_START_TIMEOUT_S = 30.0


def sink_folder(home: Home) -> Path:
    """Return where an installation's mail sink keeps its messages, one a file."""
    return home.root / "demo" / "mail"


class MailSink:
    """Takes any mail from this machine, and sends none on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._controller: Controller | None = None

    def start(self) -> tuple[str, int]:
        """Begin to listen and return host and port. Raises OSError when it cannot."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        port = _free_port()
        self._controller = Controller(
            self, hostname=_HOST, port=port, ident="Pilothouse mail sink", ready_timeout=_START_TIMEOUT_S
        )
        self._controller.start()
        return _HOST, port

    def stop(self) -> None:
        """Stop listening; the messages stay."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ANN401, ARG002, N802 - aiosmtpd's
        """Keep a message whole or not at all, the newest ones only."""
        path = self._folder / f"{time.time_ns()}{_SUFFIX}"
        fresh = path.with_suffix(".part")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(envelope.original_content)
        fresh.replace(path)
        for old in _files(self._folder)[:-_KEPT]:
            old.unlink(missing_ok=True)
        return "250 Kept"


def read_messages(folder: Path, address: str) -> list[EmailMessage]:
    """Return the messages to an address that a folder holds, the oldest first."""
    found = []
    for path in _files(folder):
        message = message_from_bytes(path.read_bytes(), policy=policy.default)
        if isinstance(message, EmailMessage) and address in str(message["To"]):
            found.append(message)
    return found


def plain_text(message: EmailMessage) -> str:
    """Return a message's plain text, or nothing when it has none."""
    body = message.get_body(preferencelist=("plain",))
    return str(body.get_content()).strip() if body else ""


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
