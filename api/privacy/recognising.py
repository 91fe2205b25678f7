"""What recognises a type in a text: an RE2 pattern, linear in time whatever it is given, and a check of its matches."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import re2

from api.privacy.scores import Grade

Verdict = tuple[str, Grade]
_MEMORY = 64 << 20
TOLD = "told"  # in a verdict: whatever type the words before it name


class Recogniser(NamedTuple):
    """A pattern over a normal form, and what its matches are; `units` is the work of one check, some 5 us each.

    `trims`: a match that is nothing is looked at again without its last words, which may be the sentence's.
    `gate`: the pattern is looked for only where this one occurs.
    """

    pattern: bytes
    check: Callable[[str], Iterator[Verdict]]
    units: int = 1
    trims: bool = False
    gate: bytes | None = None


def pattern_options() -> Any:  # noqa: ANN401 - the library has no types
    """Return the options of every pattern: bytes as they are, and room for its states before it turns to slow ways."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MEMORY
    options.log_errors = False
    return options


def compile_pattern(pattern: bytes) -> Any:  # noqa: ANN401
    """Return a compiled RE2 pattern over the bytes of a normal form."""
    return re2.compile(pattern, pattern_options())
