"""Log rows as Parquet files at an address: written, read back from there, and told of in a manifest beside them."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

ID_COLUMN, RECEIVED_COLUMN = "inference_id", "actual_received_at"
_ROW_GROUP_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 20


class NotVerified(RuntimeError):
    """What lies at the address is not what was written."""


@dataclass(frozen=True)
class Archived:
    """A file that was read back: where it is, its rows, the SHA-256 of its bytes and `fingerprint` of its rows."""

    address: str
    rows: int
    sha256: str
    fingerprint: int


class Archive:
    """A folder, or an fsspec address (`s3://bucket/logs`), below which files are kept."""

    def __init__(self, address: str) -> None:
        self._files, root = fsspec.core.url_to_fs(address)
        self._root = root.rstrip("/")
        self._is_local = isinstance(self._files, LocalFileSystem)

    def keep(self, name: str, batches: pa.RecordBatchReader, facts: dict[str, Any]) -> Archived:
        """Write `<name>.parquet`, read it back, and then `<name>.json` with `facts`: a file without one is not whole.

        What lay there under this name is replaced. In a folder the files are for their owner only. Memory is that of a
        row group. Raises NotVerified, or what the file system or the source of the batches raises.
        """
        path, manifest = f"{self._root}/{name}.parquet", f"{self._root}/{name}.json"
        self._make_folder(path.rpartition("/")[0])
        if self._files.exists(manifest):  # of an earlier try, of other rows
            self._files.rm_file(manifest)
        written = self._write(path, batches)
        self._verify(path, written)
        columns = [{"name": field.name, "type": str(field.type)} for field in batches.schema]
        told = {
            "file": path.rpartition("/")[2],
            "rows": written.rows,
            "sha256": written.sha256,
            "fingerprint": str(written.fingerprint),
            "columns": columns,
        }
        self._put(manifest, json.dumps(facts | told, indent=1).encode())
        return written

    def _make_folder(self, path: str) -> None:
        if self._is_local:
            Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            self._files.makedirs(path, exist_ok=True)

    def _draft(self, path: str) -> str:
        """Return where to write what is to lie at a path; in a folder that is an empty file beside it."""
        if not self._is_local:
            return path
        draft = Path(f"{path}.part")
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        return str(draft)

    def _write(self, path: str, batches: pa.RecordBatchReader) -> Archived:
        rows = total = 0
        partial = self._draft(path)
        with self._files.open(partial, "wb") as file:
            sink = _Hashed(file)
            with pq.ParquetWriter(cast("BinaryIO", sink), batches.schema, compression="zstd") as writer:
                for table in _row_groups(batches):
                    writer.write_table(table)
                    rows += table.num_rows
                    total += fingerprint(table)
        self._settle(partial, path)
        return Archived(without_credentials(self._files.unstrip_protocol(path)), rows, sink.sha256.hexdigest(), total)

    def _put(self, path: str, content: bytes) -> None:
        partial = self._draft(path)
        self._files.pipe_file(partial, content)
        self._settle(partial, path)

    def _settle(self, partial: str, path: str) -> None:
        """Rows are let go because of this file: in a folder, see it on the disk and under its name all at once."""
        if not self._is_local:
            return
        _fsync(partial)
        Path(partial).replace(path)
        _fsync(path.rpartition("/")[0])

    def _verify(self, path: str, written: Archived) -> None:
        with self._files.open(path, "rb") as file:
            there = hashlib.sha256()
            while chunk := file.read(_CHUNK_BYTES):
                there.update(chunk)
        if there.hexdigest() != written.sha256:
            raise NotVerified(f"{written.address} has other bytes than were written")
        with self._files.open(path, "rb") as file, pq.ParquetFile(file) as parquet:
            rows = parquet.metadata.num_rows
            total = sum(fingerprint(batch) for batch in parquet.iter_batches(columns=[ID_COLUMN, RECEIVED_COLUMN]))
        if (rows, total) != (written.rows, written.fingerprint):
            raise NotVerified(f"{written.address} has {rows:,} rows that are not the {written.rows:,} written")


def fingerprint(rows: pa.Table | pa.RecordBatch) -> int:
    """Return the sum over rows, in any order, of 64 bits of SHA-256 of id and time of feedback (microseconds).

    `monitoring.store.retention` computes the same in SQL.
    """
    ids = rows.column(ID_COLUMN).to_pylist()
    received = rows.column(RECEIVED_COLUMN).cast(pa.int64()).to_pylist()
    return sum(
        int.from_bytes(hashlib.sha256(f"{one}{'' if at is None else at}".encode()).digest()[:8], "big", signed=True)
        for one, at in zip(ids, received, strict=True)
    )


def without_credentials(text: str) -> str:
    """Return text with user and password of every address in it hidden."""
    return re.sub(r"://[^/\s]+@", "://********@", text)


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    gathered: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        gathered.append(batch)
        size += batch.nbytes
        if size >= _ROW_GROUP_BYTES:
            yield pa.Table.from_batches(gathered)
            gathered, size = [], 0
    if gathered:
        yield pa.Table.from_batches(gathered)


def _fsync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Hashed:
    """A file to write to that keeps the SHA-256 of what went into it."""

    def __init__(self, file: BinaryIO) -> None:
        self.sha256 = hashlib.sha256()
        self.closed = False
        self._file = file
        self._written = 0

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self._file.write(data)
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False
