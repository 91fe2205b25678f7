"""What the words before a stretch of free text tell: "my passport number is ..."."""

from collections.abc import Collection, Sequence

from api.privacy.column_names import types_of, types_told

_REACH = 48
_MOST_WORDS = 7
_LONGEST_PHRASE = 4
_FILLERS = frozenset(
    [
        "is",
        "was",
        "no",
        "nr",
        "num",
        "number",
        "id",
        "of",
        "on",
        "the",
        "as",
        "at",
        "to",
        "in",
        "date",
        "for",
        "dated",
        "ending",
        "n",
        "it",
        "ist",
        "lautet",
        "est",
        "es",
        "el",
        "la",
    ]
)
_ASCII_LETTERS = bytes(range(65, 91)) + bytes(range(97, 123))
_TO_WORDS = bytes(
    byte + 32 if 65 <= byte <= 90 else byte if 97 <= byte <= 122 or 48 <= byte <= 57 else 32 for byte in range(256)
)


def types_told_before(data: bytes, start: int) -> Collection[str]:
    """Return the types named by the few words before a place in a normal form, within its line."""
    words = _words_before(data, start)
    return types_told(words[-_MOST_WORDS:]) if words else ()


def types_named_just_before(data: bytes, start: int) -> Sequence[str]:
    """Return the types named by the words that end at a place, but for words like "is" and "number" between."""
    words = _words_before(data, start)
    while words:
        for length in range(_LONGEST_PHRASE, 0, -1):
            if named := types_of(tuple(words[-length:])):
                return named
        if words.pop() not in _FILLERS:
            break
    return ()


def _words_before(data: bytes, start: int) -> list[str]:
    before = data[max(0, start - _REACH) : start].rpartition(b"\n")[2]
    if len(before.translate(None, _ASCII_LETTERS)) == len(before):
        return []
    return before.translate(_TO_WORDS).decode("ascii").split()
