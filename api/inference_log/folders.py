"""The folders of the spool: one a process, locked by it while it lives, so that others see which are left behind."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LOCK, _SUFFIX, _REFUSED = "lock", ".seg", "refused"


@dataclass(frozen=True, slots=True)
class WorkerFolder:
    """A process's folder of segments, locked by `lock` (a file descriptor) in this process."""

    path: Path
    worker_id: uuid.UUID
    lock: int

    def segments(self) -> list[Path]:
        """Return the segments there are, oldest first."""
        with suppress(FileNotFoundError):
            return sorted(path for path in self.path.iterdir() if path.suffix == _SUFFIX)
        return []

    def segment(self, number: int) -> Path:
        """Return where a segment is."""
        return self.path / f"{number:06d}{_SUFFIX}"

    def keep_refused(self, name: str, content: bytes) -> Path:
        """Write aside what PostgreSQL does not take; durable on return."""
        folder = self.path / _REFUSED
        folder.mkdir(exist_ok=True, mode=0o700)
        path = folder / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)
        sync_folder(self.path)
        return path

    def delete(self, segment: Path) -> None:
        """Remove a segment that is replayed."""
        segment.unlink(missing_ok=True)
        sync_folder(self.path)

    def let_go(self) -> None:
        """Unlock the folder, and remove it when nothing is left in it."""
        with suppress(OSError):
            if not [path for path in self.path.iterdir() if path.name != _LOCK]:
                (self.path / _LOCK).unlink()
                self.path.rmdir()
        os.close(self.lock)


def create_folder(spool: Path, worker_id: uuid.UUID) -> WorkerFolder:
    """Make this process's folder; it is locked before others can see it. Raises OSError: then try again."""
    spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = spool / str(worker_id)
    making = folder if folder.exists() else spool / f".{worker_id}"
    making.mkdir(exist_ok=True, mode=0o700)
    lock = os.open(making / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        making.rename(folder)
        sync_folder(spool)
    except OSError:
        os.close(lock)
        raise
    return WorkerFolder(folder, worker_id, lock)


def adopt_folders(spool: Path, own: uuid.UUID) -> Iterator[WorkerFolder]:
    """Yield, locked, each folder with segments whose process has died; the caller lets it go."""
    for path in _worker_folders(spool):
        if path.name == str(own):
            continue
        with suppress(OSError):
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            folder = WorkerFolder(path, uuid.UUID(path.name), lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                continue
            if folder.segments():
                yield folder
            else:
                folder.let_go()


def spool_usage(spool: Path) -> tuple[int, int]:
    """Return the bytes of all files below the spool and how many segments they are."""
    used = segments = 0
    for folder, _, names in os.walk(spool):
        for name in names:
            with suppress(OSError):
                used += (Path(folder) / name).stat().st_size
                segments += name.endswith(_SUFFIX)
    return used, segments


def sync_folder(folder: Path) -> None:
    """Make a folder's list of files durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _worker_folders(spool: Path) -> list[Path]:
    found = []
    with suppress(FileNotFoundError):
        for path in spool.iterdir():
            with suppress(ValueError):
                uuid.UUID(path.name)
                found.append(path)
    return sorted(found)
