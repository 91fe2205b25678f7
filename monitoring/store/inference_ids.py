"""Inference ids: UUIDv7 that carry their instant to the microsecond and the row's place in its batch.

Layout (RFC 9562, version 7): 48 bits of milliseconds; the 12 bits `rand_a` hold the microseconds within the millisecond
as a fraction of 4096 (the RFC's method 3); of `rand_b` the upper 14 bits hold the place in the batch, the lower 48 are
random, the same for a whole request.
"""

import random
import time
import uuid
from datetime import UTC, datetime, timedelta

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
_VARIANT = 0x8000  # of the four digits that hold variant and place
_REQUEST_PLACE = 2**14 - 1  # no batch is this long, so a request's own id never equals a row's
MAX_BATCH_ROWS = _REQUEST_PLACE


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """One request's instant (microseconds since 1970) and the 32 hexadecimal digits of its first row's id."""

    instant_us: int
    digits: str

    @property
    def request_hex(self) -> str:
        """The id that all rows of the request share, as 32 digits."""
        return self.row_hex(_REQUEST_PLACE)

    @property
    def request_id(self) -> uuid.UUID:
        """The id that all rows of the request share."""
        return uuid.UUID(self.request_hex)

    @property
    def created_at(self) -> datetime:
        """The instant, aware, in UTC."""
        return _EPOCH + timedelta(microseconds=self.instant_us)

    def row_hex(self, place: int) -> str:
        """Return the inference id of the row at a place of the batch (0-16382), as 32 digits."""
        return f"{self.digits[:16]}{_VARIANT | place:04x}{self.digits[20:]}"

    def row_ids(self, rows: int) -> list[str]:
        """Return the inference ids of the first `rows` places as UUIDs are usually written."""
        digits = self.digits
        head, tail = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-", f"-{digits[20:]}"
        return [f"{head}{_VARIANT | place:04x}{tail}" for place in range(rows)]

    def row_digits(self, rows: int) -> list[bytes]:
        """Return the same ids as digits only, in ASCII."""
        head, tail = self.digits[:16].encode(), self.digits[20:].encode()
        return [b"%b%04x%b" % (head, _VARIANT | place, tail) for place in range(rows)]


def stamp(instant_us: int | None = None) -> Stamp:
    """Return a fresh stamp for an instant, or for now."""
    instant_us = time.time_ns() // 1000 if instant_us is None else instant_us
    milliseconds, microseconds = divmod(instant_us, 1000)
    fraction = microseconds * 4096 // 1000
    unique = random.getrandbits(48)
    return Stamp(instant_us, f"{milliseconds << 80 | fraction << 64 | _VERSION_AND_VARIANT | unique:032x}")


def instant_of(inference_id: uuid.UUID) -> datetime:
    """Return the instant an inference id carries: the `created_at` of its row, to the microsecond."""
    fraction = inference_id.int >> 64 & 0xFFF
    return _EPOCH + timedelta(milliseconds=inference_id.int >> 80, microseconds=-(-fraction * 1000 // 4096))
