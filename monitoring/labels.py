"""Category labels as the model knows them, whatever a file or a client wrote: `1.0` for `1`, `True` for `true`."""

import math
from collections.abc import Iterable, Mapping

import polars as pl

_TRUE_FORMS = ("true", "True", "TRUE", "1")
_FALSE_FORMS = ("false", "False", "FALSE", "0")

NA_WORDS = frozenset({"", "NA", "N/A", "na", "n/a", "NaN", "nan", "null", "NULL", "None", "none", "?"})


def canonical_label(text: str, domain: Mapping[str, int]) -> str:
    """Return the domain's spelling of a label, or the text itself when the domain has none.

    Tried in turn: the text, the text without spaces around it, its number written whole or short, its truth value.
    """
    if text in domain:
        return text
    stripped = text.strip()
    return next((form for form in _forms(stripped) if form in domain), stripped)


def _forms(text: str) -> Iterable[str]:
    yield text
    yield from _number_forms(text)
    if text in _TRUE_FORMS[:3]:
        yield from _TRUE_FORMS
    elif text in _FALSE_FORMS[:3]:
        yield from _FALSE_FORMS


def _number_forms(text: str) -> Iterable[str]:
    try:
        number = float(text)
    except ValueError:
        return
    if math.isfinite(number):
        if number.is_integer() and abs(number) < 1e15:
            yield str(int(number))
        yield repr(number)


def canonical_labels(values: pl.Series, domain: Iterable[str] | None) -> pl.Series:
    """Return the column with each value in the domain's spelling; NA words that are no label become null."""
    known = {label: position for position, label in enumerate(domain or ())}
    changed: dict[str, str | None] = {}
    for text in values.unique().drop_nulls().to_list():
        label = canonical_label(text, known)
        spelling = None if label in NA_WORDS and label not in known else label
        if spelling != text:
            changed[text] = spelling
    if not changed:
        return values
    return values.replace(pl.Series(list(changed), dtype=pl.String), pl.Series(list(changed.values()), dtype=pl.String))
