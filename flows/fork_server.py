"""A single-threaded process that has Prefect and the flows imported and forks one child per flow run.

It is forked from the worker before any thread or event loop exists, so its children start from a state that is safe
to copy. It speaks with `fork_client` over a unix socket in a private folder, and lives exactly as long as the worker:
when the worker's end of a pipe closes, however the worker ended, it stops every run and exits.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from prefect.context import refresh_global_settings_context

STOP_GRACE_S = 8.0
_PR_SET_PDEATHSIG = 1


@dataclass
class Lifeline:
    """The worker's hold on a fork server: its process, its socket, and the pipe whose closing ends it."""

    pid: int
    writer: int
    address: Path

    def let_go(self) -> None:
        """Tell the fork server to stop every run and exit; one that still preloads has no runs and just ends."""
        os.close(self.writer)
        if not self.address.exists():
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        """Return when the fork server and every run of it have ended."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def start(
    address: Path, preload: Sequence[str], *, at_once: bool = False, siblings: Sequence[Lifeline] = ()
) -> Lifeline:
    """Fork a fork server that listens at `address`, `at_once` or when it has preloaded; return in the caller only.

    Must be called while the process has one thread. A forked flow run leaves this function by SystemExit, so the
    caller keeps no cleanup on its stack.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(reader)
        return Lifeline(pid, writer, address)
    for descriptor in (writer, *(sibling.writer for sibling in siblings)):
        os.close(descriptor)  # only the worker may hold a lifeline
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a terminal's Ctrl-C comes here too; the worker decides
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if at_once:
        _listen(listener, address)
    _import(preload)
    if not at_once:
        _listen(listener, address)
    if ForkServer(listener, reader).serve():
        _become_flow_run()
    os._exit(0)


def _listen(listener: socket.socket, address: Path) -> None:
    listener.bind(str(address))
    listener.listen(64)


def _import(names: Sequence[str]) -> None:
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            sys.stderr.write(f"Not preloaded: {name} ({error})\n")  # no logging yet: Prefect's starts threads
    gc.collect()
    gc.freeze()  # a collection in a child would otherwise copy every page that the preloaded modules fill


@dataclass
class ForkServer:
    """The loop: accept requests, fork runs, pass signals, report how each run ended."""

    listener: socket.socket
    lifeline: int
    runs: dict[int, socket.socket] = field(default_factory=dict)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def serve(self) -> bool:
        """Serve until the worker lets go. Return True in a forked run, False in the server at its end."""
        wake_reader, wake_writer = socket.socketpair()
        wake_writer.setblocking(False)
        signal.set_wakeup_fd(wake_writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _only_wake)
        for source in (self.listener, self.lifeline, wake_reader):
            self.selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener and self._accept():
                    return True
                if key.fileobj == self.lifeline:
                    self._stop_runs()
                    return False
                if key.fileobj is wake_reader:
                    wake_reader.recv(4096)
                    self._report_ended()
                if key.data is not None:
                    self._pass_signals(key.data)

    def _accept(self) -> bool:
        """Fork the run that a client asks for. True in the child."""
        connection, _ = self.listener.accept()
        connection.settimeout(5)
        try:
            descriptors, request = _receive_request(connection)
        except (OSError, ValueError):
            connection.close()
            return False
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._leave_server(connection)
            _take_over(request, descriptors, parent)
            return True
        for descriptor in descriptors:
            os.close(descriptor)
        connection.settimeout(None)
        self.runs[pid] = connection
        self.selector.register(connection, selectors.EVENT_READ, data=pid)
        return False

    def _leave_server(self, connection: socket.socket) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.selector.close()
        for other in (self.listener, connection, *self.runs.values()):
            other.close()
        os.close(self.lifeline)

    def _pass_signals(self, pid: int) -> None:
        """Pass on what the client received; a client that is gone takes its run with it."""
        connection = self.runs.get(pid)
        if connection is None:
            return
        try:
            numbers = connection.recv(64)
        except OSError:
            numbers = b""
        if numbers:
            for number in numbers:
                os.kill(pid, number)
        else:
            self.selector.unregister(connection)
            _kill_group(pid, signal.SIGKILL)

    def _report_ended(self) -> None:
        """Reap ended runs with all they left in their process groups, and tell their clients the wait status."""
        for pid in list(self.runs):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            _kill_group(pid, signal.SIGKILL)  # before the reaping: until then the number cannot be another's
            _, status = os.waitpid(pid, 0)
            connection = self.runs.pop(pid)
            if connection in (key.fileobj for key in self.selector.get_map().values()):
                self.selector.unregister(connection)
            with suppress(OSError):  # a client that was killed waits for no answer
                connection.sendall(status.to_bytes(4, "big"))
            connection.close()

    def _stop_runs(self) -> None:
        """Ask every run to end, so that it reports itself, and kill what remains after the grace."""
        for pid in self.runs:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_GRACE_S
        while self.runs and time.monotonic() < deadline:
            time.sleep(0.05)
            self._report_ended()
        for pid in self.runs:
            _kill_group(pid, signal.SIGKILL)
        while self.runs:
            time.sleep(0.02)
            self._report_ended()


def _only_wake(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the wakeup descriptor has told the loop."""


def _receive_request(connection: socket.socket) -> tuple[list[int], dict[str, Any]]:
    header, descriptors, _, _ = socket.recv_fds(connection, 4, 3)
    if len(header) != 4 or len(descriptors) != 3:
        raise ValueError("Not a request of fork_client")
    expected = int.from_bytes(header, "big")
    body = bytearray()
    while len(body) < expected:
        part = connection.recv(expected - len(body))
        if not part:
            raise ValueError("The request was cut short")
        body += part
    request: dict[str, Any] = json.loads(bytes(body))
    return descriptors, request


def _take_over(request: dict[str, Any], descriptors: list[int], parent: int) -> None:
    """Put on the client's environment, folder and standard streams, in a process group of this run's own."""
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])


def _become_flow_run() -> None:
    """Run Prefect's own engine module as `python -m prefect.engine` would. Leaves by SystemExit."""
    refresh_global_settings_context()  # the environment is the run's now
    sys.argv = ["prefect.engine"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # runpy notes that the module is already imported
        runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
    sys.exit(0)


def _kill_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):  # not yet a group of its own, or ended
        os.kill(pid, number)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
