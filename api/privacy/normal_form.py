"""One written form for matching: compatibility forms folded, invisible characters gone, positions kept."""

import unicodedata
from dataclasses import dataclass

_LETTER, _OTHER = "\xff", "\x80"
_MAX_KNOWN = 20_000
_known: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class NormalForm:
    """A text as the patterns see it, one byte a character: ASCII, or 0xFF for another letter, 0x80 for another sign."""

    data: bytes
    origin: list[int] | None  # where each byte stood in the text, and the text's length; None: at the same place

    def span_in_text(self, start: int, end: int) -> tuple[int, int]:
        """Return where bytes `start` to `end` stand in the text, with invisible characters that follow them."""
        return (start, end) if self.origin is None else (self.origin[start], self.origin[end])


def normalise(text: str) -> NormalForm:
    """Return a text's normal form; takes time linear in its length."""
    if text.isascii():
        return NormalForm(text.encode("ascii"), None)
    pieces: list[str] = []
    origin: list[int] = []
    for position, char in enumerate(text):
        piece = char if char < "\x80" else _known.get(char) or _fold(char)
        if piece != "\0":
            pieces.append(piece)
            origin.extend([position] * len(piece))
    origin.append(len(text))
    return NormalForm("".join(pieces).encode("latin-1"), origin)


def _fold(char: str) -> str:
    """Return the ASCII letters a character stands for, "\\0" for one that is not seen."""
    folded = "".join(map(_fold_one, unicodedata.normalize("NFKC", char))) or "\0"
    folded = folded.replace("\0", "") or "\0"
    if len(_known) < _MAX_KNOWN:
        _known[char] = folded
    return folded


def _fold_one(char: str) -> str:
    if char < "\x80":
        return char
    category = unicodedata.category(char)
    if category in {"Cf", "Mn", "Me"}:
        return "\0"
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category == "Pd" or char == "\N{MINUS SIGN}":
        return "-"
    if category[0] == "Z":
        return " "
    return _LETTER if category[0] == "L" else _OTHER
