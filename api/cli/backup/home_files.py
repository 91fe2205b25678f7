"""What of the home goes with the database: the privacy key, and rows that wait in the spool."""

import hmac
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from api.privacy.keys import KEY_FILE, decode_secret
from api.settings import Settings
from monitoring.store.dump_format import BackupUnusable, FileFacts, Manifest
from monitoring.store.restoring import Backup, NotEmpty

_SPOOL = "spool"
_SPOOLED = r"[0-9a-f-]{36}/([0-9]+\.seg|refused/[A-Za-z0-9_-][A-Za-z0-9_.-]*)"
_OURS = re.compile(rf"{re.escape(KEY_FILE)}|{_SPOOL}/{_SPOOLED}")


class OpenedFiles:
    """The files of a home, held open: one that is replayed and deleted meanwhile can still be read."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._stack = ExitStack()
        self._files: dict[str, BinaryIO] = {}

    def __enter__(self) -> "OpenedFiles":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def gather(self) -> None:
        """Open every file that is not open yet."""
        for path in (self._home / KEY_FILE, *_spooled(self._home)):
            name = path.relative_to(self._home).as_posix()
            if name not in self._files:
                try:
                    self._files[name] = self._stack.enter_context(path.open("rb"))
                except FileNotFoundError:
                    continue

    def opened(self) -> Iterator[tuple[str, BinaryIO]]:
        """Yield each file's path below the home, and the file."""
        yield from self._files.items()


def key_fingerprint(settings: Settings) -> str | None:
    """Return what tells one privacy key from another without telling the key; None when there is none yet."""
    if settings.privacy_key is not None:
        text = settings.privacy_key.get_secret_value()
    else:
        try:
            text = (settings.home / KEY_FILE).read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return None
    return _fingerprint(text)


def check_home(settings: Settings, backup: Backup) -> None:
    """Raise NotEmpty or BackupUnusable unless the backup's files may be written into the home."""
    manifest, home = backup.manifest, settings.home
    for file in manifest.files:
        if not _OURS.fullmatch(file.name):
            raise BackupUnusable(f"The backup names a file that cannot be ours: {file.name!r}")
    waiting = {path.relative_to(home).as_posix() for path in _spooled(home)} - {file.name for file in manifest.files}
    if waiting:
        raise NotEmpty(f"Rows wait in {home / _SPOOL}. A backup is restored into an empty home only: {_CHOOSE}")
    for file in manifest.files:
        path = home / file.name
        if path.exists() and path.read_bytes() != b"".join(backup.read(file)):
            raise NotEmpty(f"{path} is there already, and another. {_CHOOSE}")
    _check_key(settings, manifest)


def write_files(home: Path, backup: Backup) -> None:
    """Write the backup's files into the home, readable by their owner only, and see them on disk."""
    for file in backup.manifest.files:
        path = home / file.name
        for folder in reversed(path.relative_to(home).parents):
            (home / folder).mkdir(exist_ok=True, mode=0o700)
        _write(path, file, backup)


_CHOOSE = "Choose another with PILOTHOUSE_HOME"


def _check_key(settings: Settings, manifest: Manifest) -> None:
    """See that values will be hashed and pseudonymized by the key they were before."""
    if manifest.privacy_key is None:
        return
    held = any(file.name == KEY_FILE for file in manifest.files)
    if settings.privacy_key is None and not held:
        raise NotEmpty("The backup was made where PILOTHOUSE_PRIVACY_KEY was set: set it to the same value")
    if settings.privacy_key is not None and key_fingerprint(settings) != manifest.privacy_key:
        raise NotEmpty("PILOTHOUSE_PRIVACY_KEY is another than where the backup was made: unset it, or set that one")


def _spooled(home: Path) -> list[Path]:
    """Return segments, and rows that were set aside; the locks of processes and half-written files are no part."""
    found = sorted((home / _SPOOL).glob("*/**/*"))
    return [path for path in found if _OURS.fullmatch(path.relative_to(home).as_posix()) and path.is_file()]


def _write(path: Path, file: FileFacts, backup: Backup) -> None:
    draft = path.with_name(f".{path.name}.part")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        for piece in backup.read(file):
            target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    draft.replace(path)


def _fingerprint(text: str) -> str:
    return hmac.digest(decode_secret(text), b"pilothouse/backup", "sha256").hex()[:32]
