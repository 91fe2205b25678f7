"""The spool of one process: where log rows are safe while the database does not take them.

Files are only touched by one thread at a time: `append` writes all that has gathered and syncs it once.
"""

import os
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from api.inference_log.folders import WorkerFolder, create_folder, spool_usage, sync_folder
from api.inference_log.records import encode_header, encode_record, segment_id_of
from api.inference_log.rows import COLUMNS
from monitoring.store.spool_replay import SpooledRequest

_USAGE_EVERY_S = 1.0


class SpoolFull(Exception):
    """The spool holds all that it may, or the disk has no room for more."""


@dataclass(frozen=True, kw_only=True)
class SpoolBounds:
    """How much all processes of a home may spool together, what stays free on the disk, how long a segment gets."""

    max_bytes: int = 2048 * 2**20
    keep_free_bytes: int = 64 * 2**20
    segment_bytes: int = 16 * 2**20


@dataclass(slots=True)
class SpoolFigures:
    """What is in the spool: rows and oldest row (microseconds since 1970) of this process, bytes and files of all.

    The others count since the process started, folders of dead processes included.
    """

    waiting_rows: int = 0
    oldest_us: int | None = None
    bytes: int = 0
    segments: int = 0
    replayed_rows: int = 0
    torn_records: int = 0
    set_aside_rows: int = 0
    failures: int = 0


@dataclass(slots=True)
class _Segment:
    """A file and what is in it."""

    path: Path
    id: uuid.UUID
    descriptor: int
    size: int = 0
    rows: int = 0
    oldest_us: int | None = None


@dataclass(slots=True)
class _Known:
    rows: int
    oldest_us: int | None = field(default=None)


class Spool:
    """This process's folder. Its methods may be called from any thread; they block on the disk."""

    def __init__(self, root: Path, worker_id: uuid.UUID, bounds: SpoolBounds | None = None) -> None:
        self.root = root
        self.worker_id = worker_id
        self.figures = SpoolFigures()
        self._bounds = bounds or SpoolBounds()
        self._lock = threading.Lock()
        self._folder: WorkerFolder | None = None
        self._active: _Segment | None = None
        self._sealed: dict[Path, _Known] = {}
        self._number = 0
        self._looked_at = float("-inf")

    def append(self, requests: Sequence[SpooledRequest]) -> None:
        """Return when the requests are on disk. Raises SpoolFull or OSError: then none of them is."""
        with self._lock:
            try:
                self._append(requests)
            except (OSError, SpoolFull):
                self.figures.failures += 1
                raise

    def sealed_segments(self) -> tuple[WorkerFolder, list[Path]] | None:
        """Return this process's folder and its segments, oldest first, none of which will grow; None without any."""
        with self._lock:
            self._seal()
            if self._folder is None or not self._sealed:
                return None
            return self._folder, sorted(self._sealed)

    def forget(self, segment: Path) -> None:
        """Take a segment that is replayed and deleted out of the figures."""
        with self._lock:
            self._sealed.pop(segment, None)
            self._looked_at = float("-inf")
            self._refresh()

    def refresh_figures(self) -> None:
        """Look again at what all processes hold on disk."""
        with self._lock:
            self._look()
            self._refresh()

    def has_room(self) -> bool:
        """Say whether the spool takes more, as far as the last look told."""
        try:
            return self.figures.bytes < self._bounds.max_bytes and self._free() > self._bounds.keep_free_bytes
        except OSError:
            return False

    def close(self) -> None:
        """Leave the folder: what is in it is replayed by another process, or the next start."""
        with self._lock:
            self._seal()
            if self._folder is not None:
                self._folder.let_go()
                self._folder = None

    def _append(self, requests: Sequence[SpooledRequest]) -> None:
        segment = self._open_segment()
        data = b"".join([encode_record(request, segment.id) for request in requests])
        self._check_room(len(data))
        try:
            _write_all(segment.descriptor, data, segment.size)
            os.fsync(segment.descriptor)
        except OSError:
            self._cut_back(segment)
            raise
        segment.size += len(data)
        segment.rows += sum(request.row_count for request in requests)
        oldest = min(request.instant_us for request in requests)
        segment.oldest_us = oldest if segment.oldest_us is None else min(segment.oldest_us, oldest)
        self.figures.bytes += len(data)
        self._refresh()

    def _open_segment(self) -> _Segment:
        if self._active is not None and self._active.size >= self._bounds.segment_bytes:
            self._seal()
        if self._active is None:
            self._active = self._create_segment()
        return self._active

    def _create_segment(self) -> _Segment:
        self._check_room(4096)
        if self._folder is None:
            self._folder = create_folder(self.root, self.worker_id)
        self._number += 1
        path = self._folder.segment(self._number)
        segment_id = segment_id_of(self.worker_id, path.name)
        header = encode_header(segment_id, self.worker_id, COLUMNS)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _write_all(descriptor, header, 0)
            os.fsync(descriptor)
            sync_folder(self._folder.path)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        self.figures.bytes += len(header)
        self.figures.segments += 1
        return _Segment(path, segment_id, descriptor, len(header))

    def _cut_back(self, segment: _Segment) -> None:
        """Leave no part of what failed; a file that cannot be cut gets nothing more."""
        try:
            os.ftruncate(segment.descriptor, segment.size)
            os.fsync(segment.descriptor)
        except OSError:
            self._seal()

    def _seal(self) -> None:
        if self._active is None:
            return
        segment, self._active = self._active, None
        os.close(segment.descriptor)
        self._sealed[segment.path] = _Known(segment.rows, segment.oldest_us)

    def _check_room(self, size: int) -> None:
        if time.monotonic() - self._looked_at > _USAGE_EVERY_S:
            self._look()
        if self.figures.bytes + size > self._bounds.max_bytes:
            raise SpoolFull("the spool is full")
        if self._free() - size < self._bounds.keep_free_bytes:
            raise SpoolFull("the disk of the spool is full")

    def _free(self) -> int:
        root = self.root
        while not root.exists() and root != root.parent:
            root = root.parent
        found = os.statvfs(root)
        return found.f_bavail * found.f_frsize

    def _look(self) -> None:
        self.figures.bytes, self.figures.segments = spool_usage(self.root)
        self._looked_at = time.monotonic()

    def _refresh(self) -> None:
        known = [*self._sealed.values()]
        if self._active is not None:
            known.append(_Known(self._active.rows, self._active.oldest_us))
        self.figures.waiting_rows = sum(each.rows for each in known)
        self.figures.oldest_us = min((each.oldest_us for each in known if each.oldest_us is not None), default=None)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
