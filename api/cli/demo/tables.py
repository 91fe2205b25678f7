"""Answers as a person reads them."""

from collections.abc import Iterator
from typing import Any

from api.supervisor.console import Voice

_BEST = 5


def show_prediction(voice: Voice, answer: dict[str, Any]) -> None:
    """Print the first prediction and its largest contributions."""
    first = answer["predictions"][0]
    probability = f" with probability {first['probability']:.3f}" if "probability" in first else ""
    voice.say(f"  predicted {first['prediction']}{probability}")
    contributions = (answer.get("contributions") or [[]])[0]
    for each in sorted(contributions, key=lambda one: -abs(one["value"]))[:_BEST]:
        voice.say(f"    {each['feature']:<12}{each['value']:+.4f}")


def show_drift(voice: Voice, drift: dict[str, Any]) -> None:
    """Print the drift table, the most drifted feature first."""
    for line in drift_lines(drift):
        voice.say(f"    {line}")


def drift_lines(drift: dict[str, Any]) -> Iterator[str]:
    """Yield the drift table's lines: feature, PSI, no-drift bound, status, shares of missing and unseen values."""
    features = drift["features"]
    width = max([len("Feature"), *(len(name) for name in features)])
    yield f"{'Feature':<{width}}  {'PSI':>8}  {'99% bound':>9}  {'Missing':>7}  {'Unseen':>6}  Status"
    for name in sorted(features, key=lambda each: -(features[each].get("psi") or 0.0)):
        row = features[name]
        numbers = f"{_number(row.get('psi'), 4):>8}  {_number(row.get('critical_value'), 4):>9}"
        shares = f"{_share(row.get('missing_share')):>7}  {_share(row.get('unseen_share')):>6}"
        yield f"{name:<{width}}  {numbers}  {shares}  {row['status']}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
