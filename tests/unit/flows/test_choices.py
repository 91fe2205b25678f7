"""The pure decisions of the flows: slots, the model to export, the words for a measurement."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.drift import summarize
from flows.sweep import slot_of
from flows.training import choose
from monitoring.measurement import BinnedDrift, DriftMeasurement

BOARD = [{"model_id": name} for name in ("ensemble", "net", "glm", "drf", "gbm")]
ALGOS = {"ensemble": "stackedensemble", "net": "deeplearning", "glm": "glm", "drf": "drf", "gbm": "gbm"}


@given(moment=st.datetimes(timezones=st.timezones()), more=st.integers(0, 14 * 60 + 59))
def test_a_slot_is_the_quarter_of_an_hour_in_utc(moment: datetime, more: int) -> None:
    start = moment.astimezone(UTC).replace(second=0, microsecond=0)
    start -= timedelta(minutes=start.minute % 15)
    assert slot_of(start + timedelta(seconds=more)) == start.strftime("%Y-%m-%dT%H:%M")


def test_a_slot_does_not_depend_on_the_zone() -> None:
    there = datetime(2026, 5, 1, 0, 50, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert slot_of(there) == "2026-04-30T19:15"


@pytest.mark.parametrize(
    ("board", "prefer_explainable", "chosen"),
    [
        (BOARD, False, "ensemble"),
        (BOARD, True, "drf"),
        (BOARD[:3], True, "net"),
        (BOARD[:1], True, "ensemble"),
    ],
)
def test_the_best_model_of_the_kind_asked_for(
    board: list[dict[str, str]], prefer_explainable: bool, chosen: str
) -> None:
    assert choose(board, ALGOS, prefer_explainable=prefer_explainable)["model_id"] == chosen


def test_no_model_at_all_is_said() -> None:
    with pytest.raises(ValueError, match="built no model"):
        choose([], {}, prefer_explainable=False)


def test_a_measurement_in_one_line() -> None:
    drift = BinnedDrift(0.125, "moderate", 0.01, 0.0, 0.0)
    measured = DriftMeasurement("moderate", 0.126, None, {"a": drift, "b": drift}, {}, drift, None, 2345, 0)
    assert summarize(measured) == "moderate: PSI 0.13 over 2 features, 2,345 rows"
