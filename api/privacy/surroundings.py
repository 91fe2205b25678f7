"""What the words before a stretch of free text tell: "my passport number is ..."."""

from collections.abc import Collection

from api.privacy.column_names import types_told

_REACH = 48
_MOST_WORDS = 7
_ASCII_LETTERS = bytes(range(65, 91)) + bytes(range(97, 123))
_TO_WORDS = bytes(
    byte + 32 if 65 <= byte <= 90 else byte if 97 <= byte <= 122 or 48 <= byte <= 57 else 32 for byte in range(256)
)


def types_told_before(data: bytes, start: int) -> Collection[str]:
    """Return the types named by the few words before a place in a normal form, within its line."""
    before = data[max(0, start - _REACH) : start].rpartition(b"\n")[2]
    if len(before.translate(None, _ASCII_LETTERS)) == len(before):
        return ()
    words = before.translate(_TO_WORDS).decode("ascii").split()
    return types_told(words[-_MOST_WORDS:]) if words else ()
