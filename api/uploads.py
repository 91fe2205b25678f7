"""Multipart forms streamed to disk: files go to a folder of their own that never outlives the request."""

import asyncio
import hashlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from multipart import MultipartError, MultipartSegment, PushMultipartParser  # type: ignore[import-untyped]

from api.errors import FieldError, Invalid, TooSlow, UnsupportedMediaType
from api.request import ApiRequest

_WRITE_BYTES = 1 << 20
_MAX_TEXT_BYTES = 1 << 20
_ABANDONED_S = 24 * 3600


@dataclass(frozen=True)
class FormShape:
    """The parts a form may have: files and text fields by name. `files` are all required."""

    files: frozenset[str]
    texts: frozenset[str]


@dataclass(frozen=True)
class ReceivedFile:
    """A file of the form, on disk until the request ends."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class ReceivedForm:
    """A form as it arrived."""

    files: dict[str, ReceivedFile] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class UploadFolder:
    """Where uploads wait, and how long one may take to arrive."""

    path: Path
    patience_s: float

    def prepare(self) -> None:
        """Create the folder, closed to others, and remove what a killed process left in it."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for entry in self.path.iterdir():
            if entry.stat().st_mtime < time.time() - _ABANDONED_S:
                shutil.rmtree(entry, ignore_errors=True)

    @asynccontextmanager
    async def receive(self, request: ApiRequest, shape: FormShape) -> AsyncIterator[ReceivedForm]:
        """Yield the request's form; its files are gone when the block ends.

        Raises Invalid naming the part that is missing, repeated, unknown or unreadable, UnsupportedMediaType, TooSlow.
        The framework refuses a body that passes the route's bound.
        """
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self.path))
        try:
            try:
                async with asyncio.timeout(self.patience_s):
                    form = await _Receiver(shape, folder).read(request)
            except TimeoutError as error:
                raise TooSlow(f"The upload did not arrive within {self.patience_s:g} s") from error
            yield form
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _boundary(request: ApiRequest) -> bytes:
    kind, options = request.content_type
    if kind != "multipart/form-data":
        raise UnsupportedMediaType(f"Send the form as multipart/form-data, not {kind or 'without a Content-Type'}")
    boundary = options.get("boundary", "")
    if not boundary or len(boundary) > 200 or not boundary.isascii():
        raise Invalid(FieldError("body", "The Content-Type lacks a usable multipart boundary"))
    return boundary.encode()


class _Receiver:
    """Reads one form, part by part."""

    def __init__(self, shape: FormShape, folder: Path) -> None:
        self._shape = shape
        self._folder = folder
        self._form = ReceivedForm()
        self._part: _Part | None = None

    async def read(self, request: ApiRequest) -> ReceivedForm:
        """Return the whole form."""
        limit = len(self._shape.files | self._shape.texts) + 1
        try:
            with PushMultipartParser(_boundary(request), max_segment_count=limit) as parser:
                async for chunk in request.stream():
                    for event in parser.parse(chunk):
                        await self._take(event)
                    if parser.closed:
                        break
        except (MultipartError, UnicodeDecodeError) as error:
            raise Invalid(FieldError("body", f"The multipart form cannot be read: {error}")) from error
        finally:
            if self._part is not None:
                self._part.file.close()
        missing = sorted(self._shape.files - self._form.files.keys())
        if missing:
            raise Invalid(*(FieldError(name, "is required, as a file") for name in missing))
        return self._form

    async def _take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(event, MultipartSegment):
            self._part = self._open(event)
        elif self._part is None:
            return
        elif event is not None:
            await self._part.add(event)
        else:
            await self._finish(self._part)
            self._part = None

    def _open(self, segment: MultipartSegment) -> "_Part":
        name = segment.name or ""
        if name not in self._shape.files | self._shape.texts:
            raise Invalid(FieldError(name[:200] or "body", "is not a part of this form"))
        if name in self._form.files or name in self._form.texts:
            raise Invalid(FieldError(name, "is given twice"))
        return _Part(name, is_file=name in self._shape.files, path=self._folder / name)

    async def _finish(self, part: "_Part") -> None:
        await part.close()
        if part.is_file:
            self._form.files[part.name] = ReceivedFile(part.path, part.digest.hexdigest())
        else:
            self._form.texts[part.name] = part.path.read_bytes().decode()


class _Part:
    """One part on its way to disk: written and hashed off the event loop, a mebibyte at a time."""

    def __init__(self, name: str, *, is_file: bool, path: Path) -> None:
        self.name = name
        self.is_file = is_file
        self.path = path
        self.digest = hashlib.sha256()
        self.file: BinaryIO = path.open("wb")
        self._held = bytearray()
        self._size = 0

    async def add(self, data: bytes | bytearray) -> None:
        """Take more of the part. Raises Invalid when a text field grows beyond its bound."""
        self._size += len(data)
        if not self.is_file and self._size > _MAX_TEXT_BYTES:
            raise Invalid(FieldError(self.name, "is longer than 1 MiB"))
        self._held += data
        if len(self._held) >= _WRITE_BYTES:
            await asyncio.to_thread(self._write)

    async def close(self) -> None:
        """Write what is held and close the file."""
        await asyncio.to_thread(self._write)
        self.file.close()

    def _write(self) -> None:
        self.digest.update(self._held)
        self.file.write(self._held)
        self._held.clear()
