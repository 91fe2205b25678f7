"""Silences: which of them keeps an alert from being told now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from monitoring.alerting import Muting

MATCHABLE: Final = ("rule_id", "rule", "deployment_id", "metric", "feature", "severity")
"""The labels of an alert that a silence may ask for; `rule` is the rule's name."""


@dataclass(frozen=True)
class SilenceFacts:
    """What deciding needs to know of a silence. It holds from `starts_at` to just before `ends_at`."""

    silence_id: str
    matchers: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime


def find_muting(silences: Iterable[SilenceFacts], labels: Mapping[str, str | None], now: datetime) -> Muting | None:
    """Return the silence that covers an alert of these labels now: of several the one that ends last.

    All matchers of a silence must be met, each by the same text; one without matchers covers everything.
    """
    covering = [each for each in silences if each.starts_at <= now < each.ends_at and _matches(each.matchers, labels)]
    if not covering:
        return None
    last = max(covering, key=lambda each: (each.ends_at, each.silence_id))
    return Muting(last.silence_id, last.ends_at)


def _matches(matchers: Mapping[str, str], labels: Mapping[str, str | None]) -> bool:
    return all(labels.get(field) == value for field, value in matchers.items())
