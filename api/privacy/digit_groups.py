"""Numbers of digits in a text, plain or in groups: cards, national numbers."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from api.privacy.candidates import Budget, Candidate
from api.privacy.national_numbers import BY_GROUPS, BY_LENGTH, Number
from api.privacy.quick_checks import can_be, values_of
from api.privacy.recognising import compile_pattern
from api.privacy.scores import Grade

PATTERN = rb"[0-9]{8}|[0-9]{1,7}[ ./-][0-9]{1,7}[ ./-]?[0-9]{1,7}"
_CHAIN = compile_pattern(rb"[0-9]+(?:[ ./-][0-9]+)*")
_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\xff")
_MOST_GROUPS = max(map(len, BY_GROUPS))
_BEGINNINGS = frozenset(groups[:2] for groups in BY_GROUPS)
_SPACE = 32
_MIN_DIGITS = 7


def find_numbers(data: bytes, budget: Budget) -> Iterator[Candidate]:
    """Yield every number of digits in the text that passes a check of its length or grouping."""
    for match in _CHAIN.finditer(data):
        start, end = match.span()
        if end - start >= _MIN_DIGITS and not _touches_word(data, start, end):
            yield from _read_chain(data, start, end, budget)


def check_digits(digits: str, numbers: Iterable[Number], budget: Budget) -> Iterator[tuple[str, Grade]]:
    """Yield the types, and what is proved, of a number in plain digits: of the given kinds, all of its length."""
    values = values_of(digits)
    for number in numbers:
        budget.spend()
        if number.plain and can_be(number.pii_type, digits, values):
            budget.spend()
            if number.is_valid(digits):
                yield number.pii_type, number.plain


def _touches_word(data: bytes, start: int, end: int) -> bool:
    """Tell whether a letter stands at either end: then the digits are part of a longer word."""
    return (start > 0 and data[start - 1] in _WORD) or (end < len(data) and data[end] in _WORD)


def _read_chain(data: bytes, start: int, end: int, budget: Budget) -> Iterator[Candidate]:
    groups = _split_chain(data, start, end)
    lengths = [stop - begin for begin, stop in groups]
    position = 0
    while position < len(groups):
        if lengths[position] < _MIN_DIGITS and tuple(lengths[position : position + 2]) not in _BEGINNINGS:
            position += 1
            continue
        found = list(_read_at(data, groups, lengths, position, budget))
        yield from (candidate for _, candidate in found)
        position += found[-1][0] if found else 1


def _split_chain(data: bytes, start: int, end: int) -> list[tuple[int, int]]:
    groups, begin = [], start
    for piece in data[start:end].translate(_TO_SPACE).split(b" "):
        groups.append((begin, begin + len(piece)))
        begin += len(piece) + 1
    return groups


def _read_at(
    data: bytes, groups: list[tuple[int, int]], lengths: list[int], position: int, budget: Budget
) -> Iterator[tuple[int, Candidate]]:
    """Yield the numbers that begin with a group, with how many groups they take; the longest grouping that is one."""
    if lengths[position] >= _MIN_DIGITS and _stands_alone(data, groups, position):
        begin, stop = groups[position]
        for pii_type, grade in check_digits(data[begin:stop].decode("ascii"), BY_LENGTH.get(stop - begin, ()), budget):
            yield 1, Candidate(begin, stop, pii_type, grade)
    if tuple(lengths[position : position + 2]) not in _BEGINNINGS:
        return
    for count in range(min(_MOST_GROUPS, len(groups) - position), 1, -1):
        numbers = BY_GROUPS.get(tuple(lengths[position : position + count]))
        if numbers and _is_apart(data, groups, position, count):
            found = list(_check_groups(data, groups[position : position + count], numbers, budget))
            yield from ((count, candidate) for candidate in found)
            if found:
                return


def _check_groups(
    data: bytes, groups: list[tuple[int, int]], numbers: tuple[Number, ...], budget: Budget
) -> Iterator[Candidate]:
    digits = b"".join(data[begin:stop] for begin, stop in groups).decode("ascii")
    values = values_of(digits)
    for number in numbers:
        budget.spend(2)
        if number.grouped and can_be(number.pii_type, digits, values) and number.is_valid(digits):
            yield Candidate(groups[0][0], groups[-1][1], number.pii_type, number.grouped)


def _stands_alone(data: bytes, groups: list[tuple[int, int]], position: int) -> bool:
    """Tell whether the group is a number of its own: only spaces part it from its neighbours."""
    return _is_apart(data, groups, position, 1)


def _is_apart(data: bytes, groups: list[tuple[int, int]], position: int, count: int) -> bool:
    """Tell whether groups form a number apart from the rest of their chain, none of it joined to them but by spaces."""
    last = position + count - 1
    before = position == 0 or data[groups[position][0] - 1] == _SPACE
    after = last == len(groups) - 1 or data[groups[last][1]] == _SPACE
    inner = {data[stop] for (_, stop), _ in pairwise(groups[position : last + 1])}
    return before and after and len(inner) <= 2


_TO_SPACE = bytes.maketrans(b"./-", b"   ")
