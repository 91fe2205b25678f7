"""Inference ids: UUIDv7 that carry their instant to the microsecond and the row's place in its batch.

Layout (RFC 9562, version 7): 48 bits of milliseconds; the 12 bits `rand_a` hold the microseconds within the millisecond
as a fraction of 4096 (the RFC's method 3); of `rand_b` the upper 14 bits hold the place in the batch, the lower 48 are
random.
"""

import secrets
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
_REQUEST_PLACE = 2**14 - 1  # no batch is this long, so a request's own id never equals a row's
MAX_BATCH_ROWS = _REQUEST_PLACE


@dataclass(frozen=True, slots=True)
class Stamp:
    """One request's instant (microseconds since 1970) and the number its ids are made from."""

    instant_us: int
    base: int

    @property
    def request_id(self) -> uuid.UUID:
        """The id that all rows of the request share."""
        return uuid.UUID(int=self.base | _REQUEST_PLACE << 48)

    def row_hex(self, place: int) -> str:
        """Return the inference id of the row at a place of the batch (0-16382), as 32 hexadecimal digits."""
        return f"{self.base | place << 48:032x}"

    @property
    def created_at(self) -> datetime:
        """The instant, aware, in UTC."""
        return _EPOCH + timedelta(microseconds=self.instant_us)


def stamp(instant_us: int | None = None) -> Stamp:
    """Return a fresh stamp for an instant, or for now."""
    instant_us = time.time_ns() // 1000 if instant_us is None else instant_us
    milliseconds, microseconds = divmod(instant_us, 1000)
    fraction = microseconds * 4096 // 1000
    return Stamp(instant_us, milliseconds << 80 | fraction << 64 | _VERSION_AND_VARIANT | secrets.randbits(48))


def instant_of(inference_id: uuid.UUID) -> datetime:
    """Return the instant an inference id carries: the `created_at` of its row, to the microsecond."""
    fraction = inference_id.int >> 64 & 0xFFF
    return _EPOCH + timedelta(milliseconds=inference_id.int >> 80, microseconds=-(-fraction * 1000 // 4096))


def dashed(digits: str) -> str:
    """Return 32 hexadecimal digits in the usual form of a UUID."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
