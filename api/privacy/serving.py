"""What a served deployment carries of privacy: how its log rows, its answers and its error messages are masked.

It fails closed. What cannot be masked is left out, the reason is kept without the value, and it is counted.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from api.inference_log.rows import Masking
from api.privacy.masker import REDACTED, Masker
from api.privacy.row_bins import RowBins
from api.privacy.rule_set import RuleSet

logger = logging.getLogger(__name__)

_CUT_EXAMPLE = 100  # as long as an echo gets: one of this length may be the beginning of a longer text
_CUT_NAME = 200
_T = TypeVar("_T")

Rows = Sequence[dict[str, Any] | None]


class FailureCounter:
    """Counts what could not be masked, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def add(self, failures: int = 1) -> None:
        """Count failures."""
        with self._lock:
            self.count += failures


@dataclass(frozen=True, eq=False, slots=True)
class Privacy:
    """How one deployment's data is masked: in the log when `logs`, in answers and error messages when `response`.

    `rules` are all that act, those of mapped columns included. `masker` is None when none could be made, `failure` says
    why; then nothing of the inputs is kept or shown.
    """

    version_id: uuid.UUID
    logs: bool
    response: bool
    rules: RuleSet | None
    masker: Masker | None
    bins: RowBins
    features: frozenset[str]
    failures: FailureCounter
    failure: str | None = None

    def told(self, *, logs: bool, response: bool) -> "Privacy | None":
        """Return the same for other places; None when there are none."""
        return replace(self, logs=logs, response=response) if logs or response else None

    def mask_rows(self, rows: Rows, *, binned: bool) -> tuple[Rows, Masking]:
        """Return log rows masked, None where that failed, and what is kept beside them; None stays None.

        With `binned` the rows are such as the model reads, and the bins of masked values are kept.
        """
        found = _Rows()
        for row in rows:
            if row is None:
                found.add(None)
            elif self.masker is None:
                found.add(None, error=self.failure)
            else:
                self._mask_row(self.masker, row, found, binned=binned)
        failed = len(rows) - found.errors.count(None)
        if failed:
            self.failures.add(failed)
            logger.warning("%d input rows could not be masked and are logged without inputs", failed)
        return found.inputs, Masking(self.version_id.hex, found.errors, found.bins)

    def _mask_row(self, masker: Masker, row: dict[str, Any], found: "_Rows", *, binned: bool) -> None:
        try:
            masked = masker.mask_record(row)
            bins = self.bins.places(row, masked.touched) if binned and masked.touched else None
        except Exception as error:
            found.add(None, error=_sentence(error))
        else:
            found.add(masked.record, bins)

    def mask_echoes(self, warnings: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the warnings about unseen categories with their examples masked, or dropped when that fails."""
        echoes = self._attempt(lambda masker: [_mask_echo(masker, warning) for warning in warnings])
        return [warning | {"examples": []} for warning in warnings] if echoes is None else echoes

    def mask_text(self, text: str, instead: str = REDACTED) -> str:
        """Return a message with what is personal in it masked; `instead` of it when that fails."""
        masked = self._attempt(lambda masker: masker.mask_text(text))
        return instead if masked is None else masked

    def mask_name(self, name: str) -> str:
        """Return a field's name as it may be shown: the model's features as they are, any other masked as text."""
        if name in self.features:
            return name
        return REDACTED if len(name) >= _CUT_NAME else self.mask_text(name)

    def _attempt(self, work: Callable[[Masker], _T]) -> _T | None:
        """Return what the masker makes of something; None, counted, when it fails."""
        try:
            if self.masker is not None:
                return work(self.masker)
        except Exception as error:
            logger.warning("a message could not be masked: %s", type(error).__name__)
        self.failures.add()
        return None


@dataclass(slots=True)
class _Rows:
    inputs: list[Any] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)
    bins: list[dict[str, int | str] | None] = field(default_factory=list)

    def add(
        self, row: Mapping[str, Any] | None, bins: dict[str, int | str] | None = None, *, error: str | None = None
    ) -> None:
        self.inputs.append(row)
        self.errors.append(error)
        self.bins.append(bins)


def _sentence(error: Exception) -> str:
    """Say that masking failed, and by what kind of error: its own text may quote the value."""
    return f"The inputs could not be masked, so they are not kept ({type(error).__name__})"


def _mask_echo(masker: Masker, warning: dict[str, Any]) -> dict[str, Any]:
    kept = [
        REDACTED if len(example) >= _CUT_EXAMPLE else masker.mask_value(warning["feature"], example)
        for example in warning["examples"]
    ]
    return warning | {"examples": [example for example in kept if example is not None]}
