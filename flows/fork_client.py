"""The process a worker sees for a flow run that the fork server runs: it passes signals on and ends as the run ends.

A plain script, started as `python -I -S fork_client.py <socket>...`, so it imports only what starts at once.
"""

import json
import os
import signal
import socket
import sys
from types import FrameType


def main(addresses: list[str]) -> int:
    """Ask the first fork server that answers for a run with this environment; return its exit status.

    Without any the process becomes an ordinary `prefect.engine`, slower but the same run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches the whole terminal group; the worker decides
    connection = _connect(addresses)
    if connection is None:
        os.execv(sys.executable, [sys.executable, "-m", "prefect.engine"])  # noqa: S606 - our own interpreter

    def pass_on(number: int, _frame: FrameType | None) -> None:
        connection.sendall(bytes([number]))

    signal.signal(signal.SIGTERM, pass_on)
    request = json.dumps({"folder": os.getcwd(), "environment": dict(os.environ)}).encode()  # noqa: PTH109
    socket.send_fds(connection, [len(request).to_bytes(4, "big")], [0, 1, 2])
    connection.sendall(request)
    return _end_like(_receive_status(connection))


def _connect(addresses: list[str]) -> "socket.socket | None":
    for address in addresses:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(address)
        except OSError:
            connection.close()
        else:
            return connection
    return None


def _receive_status(connection: socket.socket) -> int:
    answer = b""
    while len(answer) < 4:
        part = connection.recv(4 - len(answer))
        if not part:
            sys.exit("The fork server ended before the flow run did")
        answer += part
    return int.from_bytes(answer, "big")


def _end_like(wait_status: int) -> int:
    """Return the exit code of a wait status, or die by the signal in it, so the worker reads the true cause."""
    if os.WIFSIGNALED(wait_status):
        number = os.WTERMSIG(wait_status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    return os.WEXITSTATUS(wait_status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
