"""Wire types that every area shares: bounded text, page parameters, lists and times."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar.params import QueryParameter
from msgspec import Meta

from api.errors import FieldError, Invalid

NO_NUL = r"^[^\x00]*$"
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*[^\x00\s][^\x00]*$",
        description="1-200 characters, not only blanks",
    ),
]
LongText = Annotated[str, Meta(max_length=4000, pattern=NO_NUL, description="at most 4000 characters")]

AwareTime = Annotated[datetime, Meta(tz=True, description="ISO 8601 with an offset, or Z")]

Limit = Annotated[int, QueryParameter(ge=1, le=200, description="How many items to return at most")]
Offset = Annotated[int, QueryParameter(ge=0, le=1_000_000_000, description="How many items to skip, newest first")]
Search = Annotated[
    str | None, QueryParameter(max_length=200, pattern=NO_NUL, description="Text to look for, in any case; absent: all")
]


@dataclass(frozen=True)
class Paging:
    """Which page of a list is asked for."""

    limit: int
    offset: int


def provide_paging(limit: Limit = 50, offset: Offset = 0) -> Paging:
    """Give a listing handler its `paging`: limit 1-200 (50), offset (0)."""
    return Paging(limit, offset)


def in_utc(time: datetime | None, field: str) -> datetime | None:
    """Return the same instant in UTC. Raises Invalid naming `field` when no UTC date has it."""
    try:
        return time and time.astimezone(UTC)
    except OverflowError as error:
        raise Invalid(FieldError(field, "lies outside the years 1 to 9999")) from error


JsonObject = dict[str, Any]
