"""One look over a text: which patterns occur in it at all, then what those find."""

from collections.abc import Collection, Iterator
from itertools import chain

import re2

from api.privacy.candidates import Budget, Candidate
from api.privacy.credentials import CREDENTIALS
from api.privacy.crypto_addresses import CRYPTO
from api.privacy.digit_groups import PATTERN, check_digits, find_numbers
from api.privacy.internet_forms import INTERNET
from api.privacy.lettered_numbers import LETTERED
from api.privacy.national_numbers import BY_LENGTH, Number
from api.privacy.phone_numbers import PHONES
from api.privacy.recognising import TOLD, Recogniser, compile_pattern, pattern_options
from api.privacy.scores import Grade
from api.privacy.told_forms import TOLD_FORMS

_RECOGNISERS: tuple[Recogniser, ...] = (*INTERNET, *CREDENTIALS, *LETTERED, *CRYPTO, *PHONES, *TOLD_FORMS)
_COMPILED = tuple(compile_pattern(recogniser.pattern) for recogniser in _RECOGNISERS)


def _compile_set() -> re2.Set:
    """Return all patterns as one automaton: a single pass tells which of them occur."""
    patterns = re2.Set.SearchSet(pattern_options())
    for pattern in (*(recogniser.gate or recogniser.pattern for recogniser in _RECOGNISERS), PATTERN):
        patterns.Add(pattern)
    patterns.Compile()
    return patterns


_ALL = _compile_set()


class Scanner:
    """Finds what may be personal data of the given types in a text in normal form."""

    def __init__(self, types: Collection[str]) -> None:
        self._types = frozenset(types)
        self._numbers: dict[tuple[int, frozenset[Grade] | None], tuple[Number, ...]] = {}

    def scan(self, data: bytes) -> list[Candidate]:
        """Return every candidate of the types; raises TooMuchWork for a text with more than its length allows."""
        occurring = _ALL.Match(data)
        if not occurring:
            return []
        budget = Budget(len(data))
        found = chain.from_iterable(self._run(index, data, budget) for index in occurring)
        return [candidate for candidate in found if candidate.pii_type in self._types or candidate.pii_type == TOLD]

    def scan_digits(self, digits: str, grades: frozenset[Grade] | None = None) -> list[Candidate]:
        """Return every candidate that a whole number's digits are; with `grades` only of kinds that prove so much."""
        wanted = self._numbers.get((len(digits), grades))
        if wanted is None:
            wanted = self._numbers[len(digits), grades] = self._select(len(digits), grades)
        verdicts = check_digits(digits, wanted, Budget(len(digits)))
        return [Candidate(0, len(digits), *verdict) for verdict in verdicts]

    def _select(self, length: int, grades: frozenset[Grade] | None) -> tuple[Number, ...]:
        of_types = [number for number in BY_LENGTH.get(length, ()) if number.pii_type in self._types and number.plain]
        return tuple(number for number in of_types if grades is None or number.plain in grades)

    def _run(self, index: int, data: bytes, budget: Budget) -> Iterator[Candidate]:
        if index == len(_RECOGNISERS):
            yield from find_numbers(data, budget)
            return
        recogniser = _RECOGNISERS[index]
        for match in _COMPILED[index].finditer(data):
            budget.spend(recogniser.units)
            start, end = match.span()
            text = data[start:end].decode("latin-1")
            verdicts = list(recogniser.check(text))
            while recogniser.trims and not verdicts and " " in text:
                budget.spend(recogniser.units)
                text = text.rpartition(" ")[0]
                verdicts = list(recogniser.check(text))
            for pii_type, grade in verdicts:
                yield Candidate(start, start + len(text), pii_type, grade)
