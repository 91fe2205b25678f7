"""One child process: its own process group, default signals, output to a log file, dead when the supervisor is."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from api.supervisor import log_files

_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Command:
    """What to run, and how it wants to be stopped."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    niceness: int = 0


def launched(command: Command) -> tuple[str, ...]:
    """Return the command line by which a command runs as our child, as `launch` describes."""
    how = (str(os.getpid()), str(int(command.stop_signal)), command.user or "-", str(command.niceness))
    return (sys.executable, "-I", "-S", str(_LAUNCHER), *how, *command.arguments)


class Child:
    """A started process."""

    def __init__(self, process: asyncio.subprocess.Process, command: Command, log: Path, log_start: int) -> None:
        self._process = process
        self._command = command
        self._log = log
        self._log_start = log_start

    @classmethod
    async def start(cls, command: Command, log: Path) -> "Child":
        """Start the command, appending its output to the log. Call from the main thread only.

        (The kernel ties a child's death signal to the thread that made it.)
        """
        log_files.bound(log)
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
            log_start = os.fstat(output.fileno()).st_size
            process = await asyncio.create_subprocess_exec(
                *launched(command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                env=dict(command.environment),
                cwd=command.folder,
            )
            return cls(process, command, log, log_start)

    @property
    def pid(self) -> int:
        """The process id, also of its group and session."""
        return self._process.pid

    def last_words(self) -> list[str]:
        """Return the last lines this process wrote to its log."""
        return log_files.last_lines(self._log, since_byte=self._log_start)

    async def wait(self) -> int:
        """Return the exit code once the process has ended, negative for a signal."""
        return await self._process.wait()

    async def stop(self, timeout_s: float) -> bool:
        """Stop the process, by force after the timeout, and whatever is left of its group. Says if force was needed."""
        in_time = True
        if self._process.returncode is None:
            self._signal_process(self._command.stop_signal)
            try:
                await asyncio.wait_for(self._process.wait(), timeout_s)
            except TimeoutError:
                in_time = False
        self.kill()
        await self._process.wait()
        return in_time

    def kill(self) -> None:
        """Kill the whole group at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _signal_process(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
