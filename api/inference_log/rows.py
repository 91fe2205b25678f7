"""Log rows as lines of PostgreSQL's COPY text format, written by hand because every prediction pays for it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from monitoring.store.inference_ids import Stamp

COLUMNS = (
    "deployment_id, created_at, id, request_id, status_code, latency_ms, "
    "inputs, prediction, score, probabilities, error"
)
_NULL = b"\\N"
_LONGEST_ERROR = 1000
_LARGEST_REFUSED_INPUT_BYTES = 64 * 1024
_encode_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedRows:
    """One request's rows as COPY lines in the order of COLUMNS, and what the counts need to know of them."""

    lines: bytes
    row_count: int
    deployment_id: str
    instant_us: int
    status_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """What one request leaves in the log: `row_count` rows that share instant, status and latency.

    Each sequence is None or has one item a row. `inputs` are JSON objects, or None for a row whose payload is not kept.
    """

    stamp: Stamp
    deployment_id: str
    status_code: int
    latency_ms: float
    row_count: int
    inputs: Sequence[dict[str, Any] | None] | None = None
    predictions: Sequence[str] | None = None
    scores: Sequence[float] | None = None
    probabilities: Sequence[Sequence[float]] | None = None
    errors: Sequence[str] | None = None

    def encode(self) -> "EncodedRows":
        """Return the rows as the writer takes them."""
        return EncodedRows(
            lines=self._copy_lines(),
            row_count=self.row_count,
            deployment_id=self.deployment_id,
            instant_us=self.stamp.instant_us,
            status_code=self.status_code,
        )

    def _copy_lines(self) -> bytes:
        stamp = self.stamp
        head = f"{self.deployment_id}\t{stamp.created_at.isoformat()}\t".encode()
        middle = f"\t{stamp.request_id.hex}\t{self.status_code}\t{self.latency_ms:.3f}\t".encode()
        nulls: list[bytes] = [_NULL] * self.row_count
        ids = [stamp.row_hex(place).encode() for place in range(self.row_count)]
        encode_input = _accepted_input if self.errors is None else _refused_input
        columns = (
            nulls if self.inputs is None else [encode_input(item) for item in self.inputs],
            nulls if self.predictions is None else [_label(item) for item in self.predictions],
            nulls if self.scores is None else [_number(item) for item in self.scores],
            nulls if self.probabilities is None else [_array(item) for item in self.probabilities],
            nulls if self.errors is None else [_text(item[:_LONGEST_ERROR]) for item in self.errors],
        )
        rows = zip(ids, *columns, strict=True)
        return b"".join(
            [
                b"%b%b%b%b\t%b\t%b\t%b\t%b\n" % (head, row_id, middle, inputs, prediction, score, probabilities, error)
                for row_id, inputs, prediction, score, probabilities, error in rows
            ]
        )


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
    return repr(float(item)).encode() if math.isfinite(item) else _NULL


def _array(items: Sequence[float]) -> bytes:
    return b"{" + ",".join(map(repr, items)).encode() + b"}"
