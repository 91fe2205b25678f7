"""What a backup's archive holds: a member for each table and file, and a manifest that says what they must be."""

import hashlib
import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, BinaryIO, Protocol
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import msgspec

FORMAT = 1
MANIFEST = "manifest.json"
PIECE_BYTES = 2**20
_QUICKEST = 1  # deflate's levels differ little on log rows, and much in time
_TABLE_NAME = re.compile(r"[a-z_][a-z0-9_]*")


class BackupUnusable(ValueError):
    """The file is no backup, is damaged, or was made by a version that is not understood."""


class TableFacts(msgspec.Struct, frozen=True):
    """A table's member: rows in PostgreSQL's text format of COPY."""

    name: str
    columns: list[str]
    rows: int
    bytes: int
    sha256: str

    @property
    def member(self) -> str:
        """Its name in the archive."""
        return f"tables/{self.name}.copy"


class FileFacts(msgspec.Struct, frozen=True):
    """A file's member; `name` is its path below the home."""

    name: str
    bytes: int
    sha256: str

    @property
    def member(self) -> str:
        """Its name in the archive."""
        return f"home/{self.name}"


class Manifest(msgspec.Struct, frozen=True):
    """The archive's last member. Tables stand in an order in which no row comes before one that it refers to."""

    format: int
    pilothouse: str
    revision: str
    made_at: datetime
    days: list[date]
    privacy_key: str | None
    tables: list[TableFacts]
    files: list[FileFacts]

    @property
    def members(self) -> "dict[str, TableFacts | FileFacts]":
        """What the archive holds beside the manifest, by name."""
        found: list[TableFacts | FileFacts] = [*self.tables, *self.files]
        return {each.member: each for each in found}

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def bytes(self) -> int:
        """Bytes of all members before compression."""
        return sum(each.bytes for each in self.members.values())


class HomeFiles(Protocol):
    """Files of the home that go with the database. `gather` opens what is there, so that it can be read later."""

    def gather(self) -> None:
        """Open every file that is not open yet."""

    def opened(self) -> Iterator[tuple[str, BinaryIO]]:
        """Yield each file's path below the home, and the file."""


class Tell(Protocol):
    """Hears what is being done, and the share of all the work that is."""

    def __call__(self, what: str, share: float) -> None:
        """Take the news."""


class Member:
    """One member being written: counted and digested on its way."""

    def __init__(self, archive: ZipFile, name: str, made_at: datetime) -> None:
        info = ZipInfo(name, made_at.timetuple()[:6])
        info.compress_type, info.external_attr = ZIP_DEFLATED, 0o600 << 16
        info._compresslevel = _QUICKEST  # type: ignore[attr-defined]  # noqa: SLF001 - public only from 3.13 on
        self._file = archive.open(info, "w", force_zip64=True)
        self._digest = hashlib.sha256()
        self._gathered = bytearray()
        self.bytes = 0

    def write(self, piece: "bytes | bytearray | memoryview") -> None:
        """Add some bytes."""
        self._gathered += piece
        if len(self._gathered) >= PIECE_BYTES:
            self._flush()

    def close(self) -> str:
        """End the member; return the SHA-256 of all that was written."""
        self._flush()
        self._file.close()
        return self._digest.hexdigest()

    def _flush(self) -> None:
        self._digest.update(self._gathered)
        self.bytes += len(self._gathered)
        self._file.write(self._gathered)
        self._gathered = bytearray()


def encode(manifest: Manifest) -> bytes:
    """Return the manifest as it stands in the archive."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def decode(data: bytes) -> Manifest:
    """Read a manifest. Raises BackupUnusable."""
    try:
        found: dict[str, Any] = msgspec.json.decode(data, type=dict)
        if found.get("format") != FORMAT:
            raise BackupUnusable(f"The backup has format {found.get('format')}, this version reads {FORMAT}")
        manifest = msgspec.convert(found, Manifest)
    except msgspec.MsgspecError as error:
        raise BackupUnusable(f"The backup's manifest cannot be read: {error}") from error
    names = [name for table in manifest.tables for name in (table.name, *table.columns)]
    if not all(_TABLE_NAME.fullmatch(name) for name in names):
        raise BackupUnusable("The backup's manifest names tables or columns that cannot be ours")
    return manifest
