"""Log rows as lines of PostgreSQL's COPY text format, written by hand because every prediction pays for it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from monitoring.store.inference_ids import Stamp

COLUMNS = (
    "deployment_id, created_at, id, request_id, status_code, latency_ms, "
    "inputs, prediction, score, probabilities, error, privacy_version_id, privacy_error, bins"
)
_NULL = b"\\N"
_UNMASKED = b"\t\\N\t\\N\t\\N\n"  # how a row ends that no privacy policy touched
_LONGEST_ERROR = 1000
_LARGEST_REFUSED_INPUT_BYTES = 64 * 1024
_encode_json = msgspec.json.Encoder().encode  # also of plain numbers: five times as fast as repr


class Masking(msgspec.Struct, frozen=True):
    """What masking leaves beside the masked inputs: which rule set did it, and for each row why it failed, and `bins`.

    `bins` says where in the reference's frozen bins the raw values of masked features fell.
    """

    version_id: str
    errors: Sequence[str | None]
    bins: Sequence[dict[str, int | str] | None]

    def line_ends(self) -> list[bytes]:
        """Return what ends each row's line, its newline included."""
        version = self.version_id.encode()
        return [
            b"\t%b\t%b\t%b\n" % (version, _NULL if error is None else _text(error), _accepted_input(bins or None))
            for error, bins in zip(self.errors, self.bins, strict=True)
        ]


class LoggedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What one request leaves in the log: `row_count` rows that share instant, status and latency.

    Each sequence is None or has one item a row. `inputs` are JSON objects, masked when there is a `masking`, or None
    for a row whose payload is not kept. `size_bytes` is roughly what they take. `lines` holds the rows once they are
    encoded; the writer encodes the others when it stores them, many at once, which is cheaper by far than one by one.
    """

    stamp: Stamp
    deployment_id: str
    status_code: int
    latency_ms: float
    row_count: int
    size_bytes: int
    lines: bytes | None = None
    inputs: Sequence[dict[str, Any] | None] | None = None
    predictions: Sequence[str] | None = None
    scores: Sequence[float] | None = None
    probabilities: Sequence[Sequence[float]] | None = None
    errors: Sequence[str] | None = None
    masking: Masking | None = None

    def encoded(self) -> "LoggedRequest":
        """Return the same with its rows encoded: for a large request, by the thread that scored it."""
        lines = self.copy_lines()
        return LoggedRequest(
            stamp=self.stamp,
            deployment_id=self.deployment_id,
            status_code=self.status_code,
            latency_ms=self.latency_ms,
            row_count=self.row_count,
            size_bytes=len(lines),
            lines=lines,
        )

    def copy_lines(self) -> bytes:
        """Return the rows as COPY lines in the order of COLUMNS, each with its newline."""
        if self.lines is not None:
            return self.lines
        at = self.stamp
        second, microsecond = divmod(at.instant_us, 1_000_000)
        head = f"{self.deployment_id}\t{_second(second)}.{microsecond:06d}+00".encode()
        middle = f"{at.request_hex}\t{self.status_code}\t{self.latency_ms:.3f}".encode()
        nulls: list[bytes] = [_NULL] * self.row_count
        encode_input = _accepted_input if self.errors is None else _refused_input
        rows = zip(
            at.row_digits(self.row_count),
            nulls if self.inputs is None else [encode_input(item) for item in self.inputs],
            nulls if self.predictions is None else [_label(item) for item in self.predictions],
            nulls if self.scores is None else [_number(item) for item in self.scores],
            nulls if self.probabilities is None else [_array(item) for item in self.probabilities],
            nulls if self.errors is None else [_text(item[:_LONGEST_ERROR]) for item in self.errors],
            strict=True,
        )
        lines = [
            b"\t".join((head, row_id, middle, inputs, label, score, probabilities, error))
            for row_id, inputs, label, score, probabilities, error in rows
        ]
        if self.masking is None:
            return _UNMASKED.join((*lines, b""))
        return b"".join([part for row in zip(lines, self.masking.line_ends(), strict=True) for part in row])


@lru_cache(maxsize=16)
def _second(since_1970: int) -> str:
    return f"{datetime.fromtimestamp(since_1970, UTC):%Y-%m-%d %H:%M:%S}"


def _accepted_input(item: dict[str, Any] | None) -> bytes:
    """Encode one payload; JSON has every control character escaped already, so only backslashes are left to double."""
    return _NULL if item is None else _encode_json(item).replace(b"\\", b"\\\\")


def _refused_input(item: dict[str, Any] | None) -> bytes:
    """Encode what a caller sent as it came; a payload that is huge or cannot be written as JSON is left out."""
    try:
        encoded = _accepted_input(item)
    except (msgspec.MsgspecError, OverflowError, RecursionError, ValueError):
        return _NULL
    return encoded if len(encoded) <= _LARGEST_REFUSED_INPUT_BYTES else _NULL


def _text(item: str) -> bytes:
    """Escape text for COPY; what PostgreSQL cannot store (NUL, lone surrogates) becomes a question mark."""
    encoded = item.replace("\0", "?").encode("utf-8", "replace")
    escaped = encoded.replace(b"\\", b"\\\\").replace(b"\t", b"\\t")
    return escaped.replace(b"\n", b"\\n").replace(b"\r", b"\\r")


@lru_cache(maxsize=4096)
def _label(item: str) -> bytes:
    return _text(item)


def _number(item: float) -> bytes:
    """Encode a number; what is not finite becomes null."""
    encoded = _encode_json(item)
    return _NULL if encoded == b"null" else encoded


def _array(items: Sequence[float]) -> bytes:
    return b"{%b}" % _encode_json(items)[1:-1]
