"""A candidate: a stretch of normalised text that may be of a type, and what it proves by itself; the work it costs."""

from typing import NamedTuple

from api.privacy.scores import Grade


class Candidate(NamedTuple):
    """Bytes `start` to `end` of a normal form, of a type, with the grade of proof."""

    start: int
    end: int
    pii_type: str
    grade: Grade


class TooMuchWork(Exception):
    """A text with more to check than its length allows; it counts as not looked at."""


class Budget:
    """Bounds the checks spent on one text, so that time stays linear in its length with a small factor."""

    def __init__(self, length: int) -> None:
        self._left = 300 + length // 24

    def spend(self, units: int = 1) -> None:
        """Account for checks about to be made, a unit being some 5 us; raises TooMuchWork when none are left."""
        self._left -= units
        if self._left < 0:
            raise TooMuchWork
