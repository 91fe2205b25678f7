"""Becomes a supervised process: run by file path with `python -I -S`, it prepares itself and executes the command.

A separate program rather than a `preexec_fn`, which is not safe in a process with threads.
"""

import ctypes
import os
import pwd
import signal
import sys

_PR_SET_PDEATHSIG = 1
_NO_USER = "-"


def main(arguments: list[str]) -> None:
    """Execute `arguments[4:]` with default signals, as a user, dying by a signal when the parent does.

    The arguments are: pid of the parent, number of the signal, user name or `-`, niceness, then the command.
    """
    parent, death_signal, user, niceness = int(arguments[0]), int(arguments[1]), arguments[2], int(arguments[3])
    command = arguments[4:]
    _restore_signals()
    os.nice(niceness)
    if user != _NO_USER:
        _become(user)
    if sys.platform == "linux":
        # after the change of user, which would clear it; it outlives execve
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming the command is the purpose
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


def _restore_signals() -> None:
    """Undo what was inherited: a worker started with SIGINT ignored would not stop on SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _become(user: str) -> None:
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


if __name__ == "__main__":
    main(sys.argv[1:])
