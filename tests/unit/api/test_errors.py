"""The error table, without a server."""

import msgspec
import pytest

from api.errors import field_error


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    depth: int


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    inner: Inner | None = None
    many: list[Inner] = []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "name"),
        (b'{"name": 1}', "name"),
        (b'{"name": "x", "other": 1}', "other"),
        (b'{"name": "x", "inner": {}}', "inner.depth"),
        (b'{"name": "x", "inner": {"depth": "y"}}', "inner.depth"),
        (b'{"name": "x", "inner": {"depth": 1, "more": 2}}', "inner.more"),
        (b'{"name": "x", "many": [{"depth": 1}, {"depth": "y"}]}', "many[1].depth"),
        (b"[]", "body"),
        (b"7", "body"),
    ],
)
def test_the_field_at_fault_is_named(body: bytes, field: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(body, type=Outer)
    assert field_error(caught.value).field == field
