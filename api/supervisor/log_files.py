"""The parts' log files: bounded, and read back when a part fails."""

import shutil
from pathlib import Path

LARGEST_BYTES = 10 * 2**20


def bound(log: Path, *, largest_bytes: int = LARGEST_BYTES) -> None:
    """Keep a log below a size: its content moves to `<name>.1` and it starts empty again.

    The file is truncated in place because a process is appending to it (O_APPEND puts its next line at the new end);
    pipes through the supervisor would stall every part while the supervisor is stopped.
    """
    if not log.exists() or log.stat().st_size <= largest_bytes:
        return
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    with log.open("r+b") as file:
        file.truncate(0)


def last_lines(log: Path, count: int = 12, *, since_byte: int = 0) -> list[str]:
    """Return the last non-empty lines written after `since_byte`, at most `count`."""
    if not log.exists():
        return []
    size = log.stat().st_size
    with log.open("rb") as file:
        file.seek(max(since_byte if since_byte <= size else 0, size - 64 * 1024))
        text = file.read().decode(errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]
