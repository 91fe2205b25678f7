"""Wire types that every area shares: bounded text, page parameters, lists and problems."""

from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar.params import Parameter
from msgspec import Meta

from api.errors import FieldError

Item = TypeVar("Item")

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

Limit = Annotated[int, Parameter(ge=1, le=200, description="How many items to return at most")]
Offset = Annotated[int, Parameter(ge=0, le=1_000_000_000, description="How many items to skip, newest first")]
Search = Annotated[
    str | None, Parameter(max_length=200, pattern=NO_NUL, description="Text to look for, in any case; absent: all")
]


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """One page of a list, newest first, and how many items there are in all."""

    items: list[Item]
    total: int
    limit: int
    offset: int


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] | None = None


JsonObject = dict[str, Any]
