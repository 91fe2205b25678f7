"""Masks that keep the shape of a value: separators and length stay, letters and digits go."""

import unicodedata
from collections.abc import Callable

_LONGEST_TOP_DOMAIN = 6
_LEAST_HIDDEN = 3  # fewer could be guessed: a digit is one of ten


def _is_shape(char: str) -> bool:
    """Tell whether a character only separates; anything unknown counts as content, and is hidden."""
    return char == "+" or unicodedata.category(char)[0] in "ZP"


_ASCII_CONTENT = [code for code in range(128) if not _is_shape(chr(code))]


def compile_mask(
    pii_type: str, show_first: int, show_last: int, char: str, *, least_hidden: int = _LEAST_HIDDEN
) -> Callable[[str], str]:
    """Return the function that hides all but the first and last so many letters and digits of a value.

    A value of which fewer than `least_hidden` would be hidden is hidden whole. Of an e-mail address the part before the
    @ is shown so, and of its domain the last label.
    """
    table = dict.fromkeys(_ASCII_CONTENT, char)

    def hide(text: str) -> str:
        if text.isascii():
            return text.translate(table)
        return "".join(letter if _is_shape(letter) else char for letter in text)

    def mask(text: str) -> str:
        if not show_first and not show_last:
            return hide(text)
        return _show_ends(text, hide, (show_first, show_last), least_hidden)

    def mask_email(text: str) -> str:
        local, at, domain = text.rpartition("@")
        if not at:
            return mask(text)
        labels, dot, last = domain.rpartition(".")
        if dot and last.isascii() and last.isalpha() and len(last) <= _LONGEST_TOP_DOMAIN:
            return f"{mask(local)}@{hide(labels)}.{last}"
        return f"{mask(local)}@{hide(domain)}"

    return mask_email if pii_type == "email_address" else mask


def _show_ends(text: str, hide: Callable[[str], str], shown: tuple[int, int], least_hidden: int) -> str:
    show_first, show_last = shown
    if text.isascii() and text.isalnum():
        start, stop = show_first, len(text) - show_last
        enough = stop - start >= least_hidden
    else:
        start, stop = _end_of(text, show_first), len(text) - _end_of(text[::-1], show_last)
        enough = (
            start < stop and _end_of(f"{text[start:stop]} ", least_hidden) <= stop - start
        )  # else it is the space's
    if not enough:
        return hide(text)
    return text[:start] + hide(text[start:stop]) + text[stop:]


def _end_of(text: str, count: int) -> int:
    """Return where the first `count` characters of content end; the whole length when there are fewer."""
    if not count:
        return 0
    for position, char in enumerate(text):
        if not _is_shape(char):
            count -= 1
            if not count:
                return position + 1
    return len(text)
