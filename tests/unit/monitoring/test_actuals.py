"""Actual values as callers write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.actuals import ActualRefused, Actuals


@pytest.mark.parametrize(
    ("domain", "actual", "label"),
    [
        (("no", "yes"), "yes", "yes"),
        (("no", "yes"), " yes ", "yes"),
        (("0", "1"), 1, "1"),
        (("0", "1"), 1.0, "1"),
        (("0", "1"), True, "1"),
        (("0", "1"), "1.0", "1"),
        (("false", "true"), True, "true"),
        (("False", "True"), False, "False"),
        (("0.5", "1.5"), 0.5, "0.5"),
    ],
)
def test_a_label_comes_in_the_models_spelling(domain: tuple[str, ...], actual: str | float, label: str) -> None:
    assert Actuals(domain).read(actual) == label


@pytest.mark.parametrize("actual", ["maybe", "", "\x00", 2, True, 1e308])
def test_what_is_no_label_is_refused_by_name(actual: str | float) -> None:
    with pytest.raises(ActualRefused, match="none of the model's labels \\('no', 'yes'\\)"):
        Actuals(("no", "yes")).read(actual)


def test_a_refusal_does_not_quote_the_value() -> None:
    with pytest.raises(ActualRefused) as refused:
        Actuals(("no", "yes")).read("jane@example.org")
    assert "jane" not in str(refused.value)


def test_a_refusal_stays_short() -> None:
    with pytest.raises(ActualRefused) as refused:
        Actuals([f"label {place}" for place in range(500)]).read("x" * 4_000)
    assert len(str(refused.value)) < 300


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53))
def test_a_regression_takes_every_finite_number(actual: float) -> None:
    read = Actuals(None).read(actual)
    assert read == actual
    assert isinstance(read, float)


@pytest.mark.parametrize("actual", ["1.5", True, math.inf, math.nan, 10**400])
def test_a_regression_takes_nothing_else(actual: str | float) -> None:
    with pytest.raises(ActualRefused):
        Actuals(None).read(actual)
