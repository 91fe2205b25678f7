"""What really came of a prediction, as a caller says it: a label of the model's domain, or a finite number."""

import math
from collections.abc import Iterable

from monitoring.labels import canonical_label


class ActualRefused(ValueError):
    """This model can never be right or wrong about that value; the text says why."""


class Actuals:
    """Reads the actual values of one model: `domain` are a classifier's labels, None a regression's."""

    def __init__(self, domain: Iterable[str] | None) -> None:
        self._domain = None if domain is None else {label: place for place, label in enumerate(domain)}

    def read(self, actual: str | float | bool) -> str | float:
        """Return the label in the model's spelling (`1.0` for `1`, `true` for `True`), or the number as a double.

        Raises ActualRefused for a label outside the domain, or what is no finite number in a regression.
        """
        return self._number(actual) if self._domain is None else self._label(actual, self._domain)

    @staticmethod
    def _label(actual: str | float, domain: dict[str, int]) -> str:
        label = canonical_label(str(actual), domain)
        if label not in domain:
            known = ", ".join(repr(name) for name in list(domain)[:10]) + (", ..." if len(domain) > 10 else "")
            raise ActualRefused(f"is none of the model's labels ({known})")
        return label

    @staticmethod
    def _number(actual: str | float) -> float:
        if isinstance(actual, str | bool):
            raise ActualRefused("must be a number: the model is a regression")
        try:
            number = float(actual)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ActualRefused("must be a finite number that a double holds")
        return number
