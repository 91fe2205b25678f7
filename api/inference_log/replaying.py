"""What was spooled joins the log when the database is back: oldest first, once each, from dead processes too."""

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from api.inference_log.connection import create_partitions, is_about_the_rows, kind_of
from api.inference_log.folders import WorkerFolder, adopt_folders
from api.inference_log.records import LaterVersion, encode_record, read_header, read_records, segment_id_of
from api.inference_log.rows import COLUMNS
from api.inference_log.spool import Spool
from monitoring.store.database import Database
from monitoring.store.spool_replay import Chunk, SpooledRequest, read_progress, replay, set_aside

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
_ADOPT_EVERY_S = 5.0
_CHUNK_ROWS, _CHUNK_BYTES = 5_000, 4 * 2**20


class Replaying:
    """Replays this process's spool and those left behind; `is_up` says whether the database takes rows."""

    def __init__(self, database: Database, spool: Spool, is_up: Callable[[], bool]) -> None:
        self._database = database
        self._spool = spool
        self._is_up = is_up
        self._stopping = threading.Event()
        self._adopt_at = float("-inf")
        self._failing: str | None = None
        self._refused = ""
        self._done: dict[uuid.UUID, int] = {}

    async def run(self) -> None:
        """Replay until cancelled."""
        while not self._stopping.is_set():
            if self._is_up():
                await asyncio.to_thread(self.replay_all)
            await asyncio.sleep(_LOOK_EVERY_S)

    def stop(self) -> None:
        """Have a replay under way end after its present transaction."""
        self._stopping.set()

    def replay_all(self) -> None:
        """Replay what there is, or until the database fails. Never raises: what fails is tried again next time."""
        try:
            self._replay_all()
            self._failing = None
        except Exception as error:
            if self._failing != (said := kind_of(error)):
                logger.warning("the spool is not replayed just now: %s", error)
            self._failing = said

    def _replay_all(self) -> None:
        if time.monotonic() >= self._adopt_at:
            self._adopt_at = time.monotonic() + _ADOPT_EVERY_S
            self._spool.refresh_figures()
            for folder in adopt_folders(self._spool.root, self._spool.worker_id):
                try:
                    logger.info("replaying the spool that process %s left behind", folder.worker_id)
                    self._replay_folder(folder, folder.segments())
                finally:
                    folder.let_go()
        if (own := self._spool.sealed_segments()) is not None:
            self._replay_folder(*own)

    def _replay_folder(self, folder: WorkerFolder, segments: list[Path]) -> None:
        for path in segments:
            try:
                if not self._replay_segment(folder, path):
                    return
            except LaterVersion as error:
                logger.error("cannot replay %s: %s", path, error)  # noqa: TRY400 - what is wrong is all told
                continue
            folder.delete(path)
            self._spool.forget(path)

    def _replay_segment(self, folder: WorkerFolder, path: Path) -> bool:
        """Replay a segment to its end; False when told to stop before."""
        segment = _read_segment(folder, path)
        at_most: int | None = None
        done = self._progress_of(segment)
        while done < len(segment.data):
            if self._stopping.is_set():
                return False
            chunk = segment.chunk(done, at_most)
            if self._store(chunk):
                at_most = at_most and 2 * at_most
            elif len(chunk.requests) > 1:
                at_most = len(chunk.requests) // 2
                continue
            else:
                self._set_aside(folder, path, chunk)
            done = self._done[segment.id] = chunk.end
        self._done.pop(segment.id, None)
        return True

    def _progress_of(self, segment: "_Segment") -> int:
        """Return how far a segment is replayed. What this process replayed without hearing of it is counted now."""
        with self._database.transaction() as session:
            done = read_progress(session, segment.id)
        known = self._done.setdefault(segment.id, done)
        while known < done:
            chunk = segment.chunk(known, 1)
            self._count(chunk)
            known = self._done[segment.id] = chunk.end
        return done

    def _store(self, chunk: Chunk) -> bool:
        """Store a chunk; False when PostgreSQL refuses its rows."""
        create_partitions(self._database, chunk.days)
        try:
            with self._database.transaction() as session:
                if not replay(session, chunk, datetime.now(UTC)):
                    raise BlockingIOError(f"segment {chunk.segment_id} is replayed by another process")
        except (psycopg.Error, SQLAlchemyError) as error:
            cause = getattr(error, "orig", None) or error
            if not isinstance(cause, psycopg.Error) or not is_about_the_rows(cause):
                raise
            self._refused = kind_of(cause)
            return False
        self._count(chunk)
        return True

    def _count(self, chunk: Chunk) -> None:
        self._spool.figures.replayed_rows += chunk.row_count
        self._spool.figures.torn_records += chunk.torn_records

    def _set_aside(self, folder: WorkerFolder, path: Path, chunk: Chunk) -> None:
        content = b"".join(encode_record(request, chunk.segment_id) for request in chunk.requests)
        kept = folder.keep_refused(f"{path.stem}-{chunk.start}.rec", content)
        logger.error("PostgreSQL refuses %d spooled rows, kept in %s: %s", chunk.row_count, kept, self._refused)
        with self._database.transaction() as session:
            set_aside(session, chunk, datetime.now(UTC))
        self._spool.figures.set_aside_rows += chunk.row_count
        self._spool.figures.torn_records += chunk.torn_records


@dataclass(frozen=True, slots=True)
class _Segment:
    """A segment that will not grow, as read; its records begin at `begin`."""

    data: bytes
    id: uuid.UUID
    worker_id: uuid.UUID
    columns: str
    begin: int

    def chunk(self, start: int, at_most: int | None) -> Chunk:
        """Return what one transaction is to take from `start` on, of at most so many requests."""
        requests: list[SpooledRequest] = []
        rows = torn = 0
        end = max(start, self.begin)
        for found in read_records(self.data, end, self.id):
            end = found.end
            if found.request is None:
                torn += 1
            else:
                requests.append(found.request)
                rows += found.request.row_count
            if rows >= _CHUNK_ROWS or end - start >= _CHUNK_BYTES or len(requests) == at_most:
                break
        return Chunk(
            segment_id=self.id,
            worker_id=self.worker_id,
            columns=self.columns,
            start=start,
            end=end,
            requests=requests,
            torn_records=torn,
            is_last=end == len(self.data),
        )


def _read_segment(folder: WorkerFolder, path: Path) -> _Segment:
    """Read a segment; when its header is damaged, its place says whose it is. Raises LaterVersion."""
    data = path.read_bytes()
    header, begin = read_header(data)
    if header is None:
        return _Segment(data, segment_id_of(folder.worker_id, path.name), folder.worker_id, COLUMNS, 0)
    segment_id, worker_id = uuid.UUID(bytes=header.segment_id), uuid.UUID(bytes=header.worker_id)
    return _Segment(data, segment_id, worker_id, header.columns, begin)
