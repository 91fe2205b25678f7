"""What a reading means for a rule."""

import math
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from monitoring.rules import SEVERITIES, SYMBOLS, UNITS, Metric, Operator, Reading, Severity, compare, judge
from tests.unit.monitoring.alert_world import RULE

NUMBERS = st.floats(allow_nan=False)
OPERATORS: list[Operator] = ["gt", "lt", "gte", "lte", "eq", "neq"]


@pytest.mark.parametrize(
    ("value", "threshold", "holding"),
    [
        (0.31, 0.25, {"gt", "gte", "neq"}),
        (0.12, 0.25, {"lt", "lte", "neq"}),
        (0.25, 0.25, {"eq", "gte", "lte"}),
        (0.1 + 0.2, 0.3, {"eq", "gte", "lte"}),
        (1e-13, 0.0, {"eq", "gte", "lte"}),
        (1e-9, 0.0, {"gt", "gte", "neq"}),
        (-2.0, -1.0, {"lt", "lte", "neq"}),
        (1000.000001, 1000.0, {"eq", "gte", "lte"}),
        (1000.00001, 1000.0, {"gt", "gte", "neq"}),
        (math.inf, 5.0, {"gt", "gte", "neq"}),
    ],
)
def test_operators_agree_on_what_is_equal(value: float, threshold: float, holding: set[str]) -> None:
    assert {operator for operator in OPERATORS if compare(value, operator, threshold)} == holding


@given(value=NUMBERS, threshold=NUMBERS)
def test_a_value_is_below_at_or_above_its_threshold_and_nothing_else(value: float, threshold: float) -> None:
    holds = {operator: compare(value, operator, threshold) for operator in OPERATORS}
    assert holds["lt"] + holds["eq"] + holds["gt"] == 1
    assert holds["gte"] == (holds["gt"] or holds["eq"])
    assert holds["lte"] == (holds["lt"] or holds["eq"])
    assert holds["neq"] != holds["eq"]


@given(value=NUMBERS, threshold=NUMBERS)
def test_turning_the_comparison_round_turns_the_operator_round(value: float, threshold: float) -> None:
    assert compare(value, "gt", threshold) == compare(threshold, "lt", value)
    assert compare(value, "eq", threshold) == compare(threshold, "eq", value)


@pytest.mark.parametrize(
    ("reading", "outcome", "detail"),
    [
        (Reading(0.31, 100), "breach", "0.31 > 0.25"),
        (Reading(0.25, 5000), "clear", "0.25 is not > 0.25"),
        (Reading(0.31, 99), "too_few_samples", "99 of the 100 samples it takes"),
        (Reading(None, 99), "too_few_samples", "99 of the 100 samples it takes"),
        (Reading(None, 0, "No row in the window"), "no_data", "No row in the window"),
        (Reading(0.0, 0), "no_data", "Nothing to measure"),
        (Reading(None, None, "No `trained_at`"), "no_data", "No `trained_at`"),
        (Reading(None, 4000, "The profile has no baseline"), "no_data", "The profile has no baseline"),
        (Reading(math.nan, 4000), "no_data", "No value could be measured"),
        (Reading(400.0, None), "breach", "400 > 0.25"),
        (Reading(math.inf, 4000), "breach", "inf > 0.25"),
    ],
)
def test_a_reading_is_judged_with_figures(reading: Reading, outcome: str, detail: str) -> None:
    verdict = judge(RULE, reading)
    assert (verdict.outcome, verdict.detail) == (outcome, detail)
    assert verdict.samples == reading.samples
    assert verdict.value == (None if outcome == "no_data" else reading.value)


@pytest.mark.parametrize(
    ("changes", "value", "detail"),
    [
        ({"metric": "latency_p99", "threshold": 250.0}, 412.5, "412.5 > 250 ms"),
        ({"metric": "error_rate", "operator": "gte", "threshold": 5.0}, 2.0, "2 is not >= 5 %"),
        ({"metric": "model_staleness", "operator": "lt", "threshold": 90.0}, 90.00001, "90.00001 is not < 90.0 days"),
        ({"operator": "neq"}, 0.25, "0.25 is not != 0.25"),
    ],
)
def test_the_sentence_names_the_unit_and_tells_near_values_apart(
    changes: dict[str, Any], value: float, detail: str
) -> None:
    assert judge(replace(RULE, **changes), Reading(value, 500)).detail == detail


@given(
    value=st.none() | st.floats(),
    samples=st.none() | st.integers(0, 1000),
    least=st.integers(0, 200),
    operator=st.sampled_from(OPERATORS),
)
def test_only_a_measured_value_on_enough_samples_says_anything(
    value: float | None, samples: int | None, least: int, operator: Operator
) -> None:
    verdict = judge(replace(RULE, operator=operator, min_samples=least), Reading(value, samples))
    assert verdict.detail
    if verdict.outcome in ("breach", "clear"):
        assert value is not None
        assert samples is None or samples >= max(least, 1)
        assert (verdict.outcome == "breach") == compare(value, operator, RULE.threshold)
    else:
        assume(samples != 0)
        assert value is None or math.isnan(value) or (samples is not None and samples < least)


def test_every_metric_operator_and_severity_is_named() -> None:
    assert set(UNITS) == set(get_args(Metric))
    assert set(SYMBOLS) == set(get_args(Operator))
    assert get_args(Severity) == SEVERITIES
