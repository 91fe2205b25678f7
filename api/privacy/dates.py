"""Year and month out of dates as people and programs write them."""

import time
from collections.abc import Callable
from datetime import date

import re2

OLDEST_AGE = 90
_LONGEST = 100
_YEAR = r"((?:1[6-9]|2[01])\d\d)"
_YEAR_FIRST = re2.compile(rf"^{_YEAR}(?:([-/. ])(\d{{1,2}})[-/. ](\d{{1,2}})|(\d\d)(\d\d))(?:$|[T ,][^\n]*$)")
_YEAR_LAST = re2.compile(rf"^(\d{{1,2}})([-/. ])(\d{{1,2}})[-/. ]{_YEAR}(?:$|[T ,][^\n]*$)")
_IN_WORDS = re2.compile(rf"^(?:\D{{0,20}}|\d{{1,2}}\D{{1,20}}|\D{{1,20}}\d{{1,2}}\D{{1,6}}){_YEAR}$")
_YEAR_MONTH = re2.compile(rf"^{_YEAR}-(\d\d)$")
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "ene", "gen"),
            ("feb", "fév", "fev"),
            ("mar", "mär"),
            ("apr", "avr", "abr"),
            ("may", "mai", "mag"),
            ("jun", "juin", "giu"),
            ("jul", "juil", "lug"),
            ("aug", "aoû", "ago"),
            ("sep", "set"),
            ("oct", "okt", "ott"),
            ("nov",),
            ("dec", "dez", "déc", "dic"),
        ),
        start=1,
    )
    for name in names
}


def this_year() -> int:
    """Return the year in UTC."""
    return time.gmtime().tm_year


def compile_year(
    *, with_month: bool, of_birth: bool, year_now: Callable[[], int] = this_year
) -> Callable[[str], str | None]:
    """Return the function that keeps year, or year and month, of a date, and gives None for what is no date.

    Birth dates of people who may be 90 or older all give `<year> or before`, for the year alone tells such an age
    (45 CFR 164.514(b)(2)(i)(C)).
    """

    def coarsen(text: str) -> str | None:
        found = read_year_month(text)
        if found is None:
            return None
        year, month = found
        if of_birth and year <= year_now() - OLDEST_AGE:
            return f"{year_now() - OLDEST_AGE} or before"
        return f"{year}-{month:02d}" if with_month and month else str(year)

    return coarsen


def read_year_month(text: str) -> tuple[int, int | None] | None:
    """Return year and month of a date, None for what is none; the month is None where it is missing or ambiguous."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    if len(text) == 10 and text[4] == text[7] == "-":
        return _iso_date(text)
    return _by_form(text)


def _iso_date(text: str) -> tuple[int, int | None] | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day.year, day.month


def _by_form(text: str) -> tuple[int, int | None] | None:
    if match := _YEAR_FIRST.match(text):
        year, _, month, day, compact_month, compact_day = match.groups()
        return _checked(int(year), int(month or compact_month), int(day or compact_day))
    if match := _YEAR_LAST.match(text):
        first, separator, second, year = match.groups()
        return _day_and_month(int(year), separator, int(first), int(second))
    if match := _YEAR_MONTH.match(text):
        return _checked(int(match[1]), int(match[2]), 1)
    if match := _IN_WORDS.match(text):
        return int(match[1]), _month_named(text)
    return None


def _checked(year: int, month: int, day: int) -> tuple[int, int | None] | None:
    return (year, month) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _day_and_month(year: int, separator: str, first: int, second: int) -> tuple[int, int | None] | None:
    """Dots mean day first; otherwise only a number above 12 or equal ones tell which is the month."""
    if separator == "." or first > 12 or first == second:
        return _checked(year, second, first)
    if second > 12:
        return _checked(year, first, second)
    return (year, None) if first and second else None


def _month_named(text: str) -> int | None:
    words = "".join(char if char.isalpha() else " " for char in text.casefold()).split()
    named = {number for word in words for name, number in _MONTHS.items() if word.startswith(name)}
    return named.pop() if len(named) == 1 else None
