"""How a spool segment is laid out: a header, then records, each with its length and checksum.

A record is told from what merely looks like one by its checksum, which the segment's id goes into; a mark at its head,
of bytes that no text contains, lets a reader find the next one behind damage.
"""

import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from monitoring.store.spool_replay import SpooledRequest

_SEGMENT_MAGIC, _RECORD_MAGIC = b"\xff\xfePHSPOOL", b"\xff\xfePHrec"
_HEAD = struct.Struct("<II")  # length, CRC-32
_LARGEST = 1 << 30
VERSION = 1


class LaterVersion(ValueError):
    """A segment was written by a later version of this program."""


class Header(msgspec.Struct, frozen=True, array_like=True):
    """What a segment says of itself; `columns` are those of its COPY lines."""

    segment_id: bytes
    worker_id: bytes
    columns: str
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Found:
    """A record that reads, or (`request` None) a stretch that does not; `end` is where it ends in the file."""

    end: int
    request: SpooledRequest | None


_encode = msgspec.msgpack.Encoder().encode
_decode_request = msgspec.msgpack.Decoder(SpooledRequest).decode
_decode_header = msgspec.msgpack.Decoder(Header).decode


def segment_id_of(worker_id: uuid.UUID, name: str) -> uuid.UUID:
    """Return the id of a worker's segment, so that it is known even when its header does not read."""
    return uuid.uuid5(worker_id, name)


def encode_header(segment_id: uuid.UUID, worker_id: uuid.UUID, columns: str) -> bytes:
    """Return what a segment begins with."""
    return _framed(_SEGMENT_MAGIC, _encode(Header(segment_id.bytes, worker_id.bytes, columns)), b"")


def encode_record(request: SpooledRequest, segment_id: uuid.UUID) -> bytes:
    """Return a request as a record of a segment."""
    return _framed(_RECORD_MAGIC, _encode(request), segment_id.bytes)


def read_header(data: bytes) -> tuple[Header | None, int]:
    """Return a segment's header and where it ends; None when it does not read. Raises LaterVersion."""
    found = _payload(data, 0, _SEGMENT_MAGIC, b"")
    if found is None:
        return None, 0
    try:
        header = _decode_header(found)
    except msgspec.MsgspecError:
        return None, 0
    if header.version != VERSION:
        raise LaterVersion(f"a spool segment of format {header.version}; this version reads {VERSION}")
    return header, len(_SEGMENT_MAGIC) + _HEAD.size + len(found)


def read_records(data: bytes, start: int, segment_id: uuid.UUID) -> Iterator[Found]:
    """Yield what is in a segment from `start` on, whose bytes are all there will be. Damage is yielded once a stretch.

    Nothing that was changed by as much as a bit is taken for a record.
    """
    at = start
    while at < len(data):
        payload = _payload(data, at, _RECORD_MAGIC, segment_id.bytes)
        request = None if payload is None else _request(payload)
        if payload is None or request is None:
            at = _next_record(data, at + 1, segment_id)
            yield Found(at, None)
        else:
            at += len(_RECORD_MAGIC) + _HEAD.size + len(payload)
            yield Found(at, request)


def _next_record(data: bytes, start: int, segment_id: uuid.UUID) -> int:
    """Return where the next readable record begins, or the end of the data."""
    at = data.find(_RECORD_MAGIC, start)
    while at != -1:
        payload = _payload(data, at, _RECORD_MAGIC, segment_id.bytes)
        if payload is not None and _request(payload) is not None:
            return at
        at = data.find(_RECORD_MAGIC, at + 1)
    return len(data)


def _request(payload: bytes) -> SpooledRequest | None:
    try:
        return _decode_request(payload)
    except msgspec.MsgspecError:
        return None


def _framed(magic: bytes, payload: bytes, salt: bytes) -> bytes:
    return b"%b%b%b" % (magic, _HEAD.pack(len(payload), _checksum(payload, salt)), payload)


def _payload(data: bytes, at: int, magic: bytes, salt: bytes) -> bytes | None:
    body = at + len(magic) + _HEAD.size
    if body > len(data) or not data.startswith(magic, at):
        return None
    length, checksum = _HEAD.unpack_from(data, at + len(magic))
    if length > _LARGEST or body + length > len(data):
        return None
    payload = data[body : body + length]
    return payload if _checksum(payload, salt) == checksum else None


def _checksum(payload: bytes, salt: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(salt + len(payload).to_bytes(8, "little")))
