"""P-values against scipy and against what windows without drift really do; Benjamini and Hochberg against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, false_discovery_control

from monitoring.significance import is_drifted, p_value, q_values

plenty = st.integers(2, 12).flatmap(
    lambda bins: st.tuples(*[st.lists(st.integers(10, 5_000), min_size=bins, max_size=bins)] * 2)
)
sides = st.integers(1, 12).flatmap(
    lambda bins: st.tuples(*[st.lists(st.integers(0, 50), min_size=bins, max_size=bins).filter(any)] * 2)
)


@given(plenty)
def test_with_rows_in_every_bin_it_is_pearsons_test(pair: tuple[list[int], list[int]]) -> None:
    rows = np.array(pair).sum(axis=1)
    columns = np.array(pair).sum(axis=0)
    variances = columns * rows[0] * rows[1] / rows.sum() ** 2
    if variances.min() >= 1:
        theirs = chi2_contingency(np.array(pair), correction=False).pvalue
        assert p_value(*pair) == pytest.approx(theirs, rel=1e-9, abs=1e-280)


@given(sides)
def test_it_is_a_share_and_takes_no_side(pair: tuple[list[int], list[int]]) -> None:
    assert 0 <= p_value(*pair) <= 1
    assert p_value(*pair) == pytest.approx(p_value(pair[1], pair[0]))


def test_what_cannot_differ_does_not() -> None:
    assert p_value([5, 0], [900, 0]) == 1.0
    assert p_value([50, 50], [50, 50]) == 1.0


@pytest.mark.parametrize(("expected", "actual"), [([0, 0], [1, 1]), ([1, 1], [0, 0]), ([], [])])
def test_it_refuses_a_side_without_rows(expected: list[int], actual: list[int]) -> None:
    with pytest.raises(ValueError, match="at least one row"):
        p_value(expected, actual)


@pytest.mark.parametrize(("expected_rows", "actual_rows"), [(100, 100), (10_000, 100), (10_000, 500), (1_000, 10_000)])
@pytest.mark.parametrize("shares", ["deciles", "long tail", "one rare bin"])
def test_windows_without_drift_are_seldom_called_drifted(expected_rows: int, actual_rows: int, shares: str) -> None:
    weights = {
        "deciles": np.full(10, 0.1),
        "long tail": 1 / np.arange(1, 51) ** 1.5,
        "one rare bin": np.array([0.9995, 0.0005]),
    }[shares]
    rng = np.random.default_rng(5)
    before = rng.multinomial(expected_rows, weights / weights.sum(), 4_000)
    after = rng.multinomial(actual_rows, weights / weights.sum(), 4_000)
    called = np.array([p_value(*pair) for pair in zip(before, after, strict=True)])
    assert (called < 0.05).mean() < 0.065
    assert (called < 0.001).mean() < 0.005


def test_drift_is_found_in_a_rare_bin_too() -> None:
    assert p_value([10_000, 0], [97, 3]) < 0.01
    assert p_value([500] * 10, [30] * 5 + [10] * 5) < 1e-4


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_the_correction_is_scipys(found: list[float]) -> None:
    assert q_values(found) == pytest.approx(false_discovery_control(found).tolist(), abs=1e-12)


def test_of_nothing_nothing_is_discovered() -> None:
    assert q_values([]) == []
    assert not is_drifted("high", None)
    assert not is_drifted("insufficient_data", 0.0)
    assert is_drifted("low", 0.049)
