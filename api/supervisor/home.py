"""The folder of an installation: what lies where, and the lock that one `up` holds on it."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from monitoring.store.location import DATABASE_URL_FILE


class HomeInUse(RuntimeError):
    """Another `pilothouse up` runs on this home."""


class HomeUnusable(RuntimeError):
    """The home cannot be created or written."""


@dataclass(frozen=True)
class Home:
    """The paths below an installation's folder."""

    root: Path

    @property
    def logs(self) -> Path:
        """Where the parts' logs are."""
        return self.root / "logs"

    @property
    def postgres(self) -> Path:
        """Where the embedded PostgreSQL keeps its data."""
        return self.root / "postgres"

    @property
    def prefect(self) -> Path:
        """Prefect's own home, so that it writes nothing to ~/.prefect."""
        return self.root / "prefect"

    @property
    def lock(self) -> Path:
        """The file that a running `up` holds locked; its text is the pid."""
        return self.root / "up.lock"

    @property
    def state(self) -> Path:
        """What `up` last wrote of its parts."""
        return self.root / "up.json"

    def log(self, part: str) -> Path:
        """Return the log file of a part."""
        return self.logs / f"{part}.log"

    def create(self) -> None:
        """Make the folders that are missing, closed to other users. Raises HomeUnusable."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (self.logs, self.prefect):
                folder.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise HomeUnusable(f"The home {self.root} cannot be used: {error.strerror}. {_CHOOSE}") from error

    def write_database_url(self, url: str) -> None:
        """Leave the database's address for the other commands, readable by this user only."""
        replace_file(self.root / DATABASE_URL_FILE, url + "\n")


_CHOOSE = "Choose another with PILOTHOUSE_HOME"


def replace_file(path: Path, text: str) -> None:
    """Write a file whole or not at all, mode 0600."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


class HomeLock:
    """Held by a running `up`; freed by the kernel when its process ends, however it ends."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock and write our pid into it. Raises HomeInUse naming the holder."""
        try:
            fd = os.open(self._home.lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HomeUnusable(f"The home {self._home.root} cannot be used: {error.strerror}. {_CHOOSE}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(fd, 32).decode().strip()
            os.close(fd)
            raise HomeInUse(
                f"Pilothouse already runs on {self._home.root} (pid {pid or 'unknown'}). Stop that one. {_CHOOSE}"
            ) from None
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd

    def release(self) -> None:
        """Give the lock back."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None


def is_locked(home: Home) -> bool:
    """Say whether an `up` runs on this home."""
    try:
        fd = os.open(home.lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
