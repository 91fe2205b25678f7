"""A strict reader of zip files from strangers: it takes the plain layout Java writes and nothing else.

The JVM opens the same file afterwards with a reader of its own, so whatever two readers could understand differently
(comments, gaps, overlaps, sizes that lie, duplicate names) is refused rather than interpreted.
"""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from api.scoring.errors import MojoRefused, shown

_CHUNK = 1 << 16
_END_SIZE = 22
_ENTRY_SIZE = 46
_LOCAL_SIZE = 30
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_UTF8 = 0x800
_MIB = 1 << 20


@dataclass(frozen=True)
class ArchiveLimits:
    """How much an archive may hold; sizes are inflated bytes, counted while inflating."""

    max_archive_bytes: int = 512 * _MIB
    max_members: int = 65_000  # beyond this a zip needs the zip64 extension, which is refused
    max_member_bytes: int = 256 * _MIB
    max_total_bytes: int = 1024 * _MIB
    max_ratio: int = 100  # of a member above `ratio_from_bytes`, and of the whole
    ratio_from_bytes: int = _MIB
    max_name_bytes: int = 512


class CheckedZip:
    """An open archive whose every member was inflated once and found to be what its directory says."""

    def __init__(self, file: BinaryIO, limits: ArchiveLimits) -> None:
        """Check the whole file; raises MojoRefused."""
        self._file = file
        self._limits = limits
        members = _read_directory(file, limits)
        starts = _data_starts(file, members)
        self._members = {info.filename: (info, start) for info, start in zip(members, starts, strict=True)}
        total = 0
        for info, start in self._members.values():
            for piece in self._inflate(info, start):
                total += len(piece)
                if total > limits.max_total_bytes:
                    raise MojoRefused(f"The archive inflates to more than {limits.max_total_bytes // _MIB} MiB")

    @property
    def names(self) -> list[str]:
        """Every member's name."""
        return list(self._members)

    def size(self, name: str) -> int | None:
        """Return a member's inflated size, or None when there is no such member."""
        found = self._members.get(name)
        return found[0].file_size if found else None

    def read(self, name: str) -> bytes:
        """Return a member's bytes; the caller looked at `size` first."""
        info, start = self._members[name]
        return b"".join(self._inflate(info, start))

    def _inflate(self, info: zipfile.ZipInfo, start: int) -> Iterator[bytes]:
        """Yield the member's bytes; refuse it when they are not as many, or not the ones, that were declared."""
        self._file.seek(start)
        crc = size = 0
        pieces = _deflated if info.compress_type == zipfile.ZIP_DEFLATED else _stored
        for piece in pieces(self._file, info):
            size += len(piece)
            self._check_size(info, size)
            crc = zlib.crc32(piece, crc)
            yield piece
        if size != info.file_size or crc != info.CRC:
            raise MojoRefused(f"The member {shown(info.filename)} is not what the archive's directory says it is")

    def _check_size(self, info: zipfile.ZipInfo, size: int) -> None:
        limits = self._limits
        if size > info.file_size:
            raise MojoRefused(f"The member {shown(info.filename)} is larger than the size it declares")
        if size > limits.max_member_bytes:
            raise MojoRefused(
                f"The member {shown(info.filename)} inflates to more than {limits.max_member_bytes // _MIB} MiB"
            )
        if size > limits.ratio_from_bytes and size > limits.max_ratio * max(info.compress_size, 1):
            raise MojoRefused(f"The member {shown(info.filename)} inflates more than {limits.max_ratio} times")


def _read_directory(file: BinaryIO, limits: ArchiveLimits) -> list[zipfile.ZipInfo]:
    """Parse the central directory after measuring it, so that no forged count can fill the memory."""
    size = file.seek(0, io.SEEK_END)
    if size > limits.max_archive_bytes:
        raise MojoRefused(f"The file is larger than {limits.max_archive_bytes // _MIB} MiB")
    count, start = _measure_directory(file, size, limits)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError, OverflowError) as error:
        raise MojoRefused("The archive's directory cannot be read") from error
    if len(members) != count:
        raise MojoRefused("The archive's directory does not hold as many members as it says")
    _check_members(members, limits)
    members.sort(key=lambda info: info.header_offset)
    if members[-1].header_offset >= start:
        raise MojoRefused("The archive's directory points past its members")
    return members


def _measure_directory(file: BinaryIO, size: int, limits: ArchiveLimits) -> tuple[int, int]:
    """Return the member count and the directory's offset, having walked it entry by entry."""
    file.seek(max(size - _END_SIZE, 0))
    end = file.read(_END_SIZE)
    if len(end) < _END_SIZE or not end.startswith(b"PK\x05\x06"):
        raise MojoRefused("The file is not a complete zip archive")
    disk, first_disk, here, count, length, start, comment = struct.unpack("<4x4H2IH", end)
    if (disk, first_disk, comment, here) != (0, 0, 0, count) or start + length + _END_SIZE != size:
        raise MojoRefused("The archive has a layout that no MOJO has (comment, several parts, zip64 or extra bytes)")
    if not 0 < count <= limits.max_members:
        raise MojoRefused(f"The archive has {count} members; a MOJO has 1 to {limits.max_members}")
    if length > count * (_ENTRY_SIZE + 2 * limits.max_name_bytes):
        raise MojoRefused("The archive's directory is larger than its members explain")
    file.seek(start)
    directory = file.read(length)
    offset = 0
    for _ in range(count):
        if directory[offset : offset + 4] != b"PK\x01\x02" or offset + _ENTRY_SIZE > length:
            raise MojoRefused("The archive's directory cannot be read")
        offset += _ENTRY_SIZE + sum(struct.unpack_from("<3H", directory, offset + 28))
    if offset != length:
        raise MojoRefused("The archive's directory does not hold as many members as it says")
    return count, start


def _check_members(members: list[zipfile.ZipInfo], limits: ArchiveLimits) -> None:
    seen: set[str] = set()
    total = packed = 0
    for info in members:
        _check_name(info, limits)
        _check_kind(info)
        if info.filename in seen:
            raise MojoRefused(f"The archive holds {shown(info.filename)} twice")
        seen.add(info.filename)
        total += info.file_size
        packed += info.compress_size
    if total > limits.max_total_bytes:
        raise MojoRefused(f"The archive inflates to more than {limits.max_total_bytes // _MIB} MiB")
    if total > limits.ratio_from_bytes and total > limits.max_ratio * packed:
        raise MojoRefused(f"The archive inflates more than {limits.max_ratio} times")


def _check_name(info: zipfile.ZipInfo, limits: ArchiveLimits) -> None:
    name = info.filename
    parts = name.removesuffix("/").split("/")
    if (
        name != info.orig_filename
        or not name.isprintable()
        or len(name.encode("utf-8", "surrogatepass")) > limits.max_name_bytes
        or (not name.isascii() and not info.flag_bits & _UTF8)
    ):
        raise MojoRefused(f"The archive has a member with an unusable name: {shown(info.orig_filename)}")
    if "\\" in name or ":" in parts[0] or any(part in {"", ".", ".."} for part in parts):
        raise MojoRefused(f"The archive has a member that points outside it: {shown(name)}")


def _check_kind(info: zipfile.ZipInfo) -> None:
    name = shown(info.filename)
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise MojoRefused(f"The member {name} is a link or a special file")
    if info.flag_bits & _ENCRYPTED:
        raise MojoRefused(f"The member {name} is encrypted")
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise MojoRefused(f"The member {name} is compressed by a method that a MOJO does not use")
    if info.is_dir() and info.file_size:
        raise MojoRefused(f"The folder {name} has contents of its own")


def _data_starts(file: BinaryIO, members: list[zipfile.ZipInfo]) -> list[int]:
    """Return where each member's data begins; refuse local headers that disagree, and members that overlap."""
    starts: list[int] = []
    free_from = 0
    for info in members:
        if info.header_offset < free_from or (not starts and info.header_offset):
            raise MojoRefused(f"The member {shown(info.filename)} overlaps what stands before it")
        file.seek(info.header_offset)
        header = file.read(_LOCAL_SIZE)
        if len(header) < _LOCAL_SIZE or not header.startswith(b"PK\x03\x04"):
            raise MojoRefused(f"The member {shown(info.filename)} is missing")
        flags, method = struct.unpack_from("<2H", header, 6)
        name_length, extra_length = struct.unpack_from("<2H", header, 26)
        encoding = "utf-8" if flags & _UTF8 else "cp437"
        name = file.read(name_length).decode(encoding, "replace")
        if name != info.filename or method != info.compress_type or flags & _ENCRYPTED:
            raise MojoRefused(f"The member {shown(info.filename)} has two descriptions that disagree")
        starts.append(info.header_offset + _LOCAL_SIZE + name_length + extra_length)
        free_from = starts[-1] + info.compress_size
    return starts


def _stored(file: BinaryIO, info: zipfile.ZipInfo) -> Iterator[bytes]:
    left = info.compress_size
    while left:
        piece = file.read(min(_CHUNK, left))
        if not piece:
            raise MojoRefused(f"The member {shown(info.filename)} is cut short")
        left -= len(piece)
        yield piece


def _deflated(file: BinaryIO, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Inflate exactly the member's compressed bytes, at most `_CHUNK` of output at a time."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for piece in _stored(file, info):
            waiting = piece
            while waiting:
                yield inflater.decompress(waiting, _CHUNK)
                waiting = inflater.unconsumed_tail
            if inflater.unused_data:
                break
        yield from _rest(inflater)
    except zlib.error as error:
        raise MojoRefused(f"The member {shown(info.filename)} is damaged") from error
    if not inflater.eof or inflater.unused_data:
        raise MojoRefused(f"The member {shown(info.filename)} is damaged")


def _rest(inflater: "zlib._Decompress") -> Iterator[bytes]:
    while not inflater.eof:
        piece = inflater.decompress(inflater.unconsumed_tail, _CHUNK)
        if not piece:
            return
        yield piece
