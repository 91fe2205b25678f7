"""PSI against hand-written oracles, and its properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from monitoring.psi import band, chi2_quantile, critical_value, overall, psi

counts = st.lists(st.integers(0, 10_000), min_size=1, max_size=15).filter(any)
pairs = st.integers(1, 15).flatmap(
    lambda size: st.tuples(*[st.lists(st.integers(0, 10_000), min_size=size, max_size=size).filter(any)] * 2)
)


def oracle(expected: list[int], actual: list[int]) -> float:
    """PSI as a person would write it: shares, 1e-4 where empty, shares again, sum of differences times log ratios."""
    sides = []
    for side in (expected, actual):
        shares = [count / sum(side) if count else 0.0001 for count in side]
        sides.append([share / sum(shares) for share in shares])
    return sum((a - e) * math.log(a / e) for e, a in zip(*sides, strict=True))


def test_a_worked_example() -> None:
    # shares 0.5/0.5 and 0.6/0.4: 0.1 * ln(1.2) + -0.1 * ln(0.8)
    assert psi([500, 500], [600, 400]) == pytest.approx(0.1 * math.log(1.2) - 0.1 * math.log(0.8), abs=1e-15)


def test_an_empty_bin_counts_as_epsilon() -> None:
    share = 1e-4 / 1.0001
    expected = (share - 0.5) * math.log(share / 0.5) + (1 / 1.0001 - 0.5) * math.log(1 / 1.0001 / 0.5)
    assert psi([5, 5], [0, 10]) == pytest.approx(expected, abs=1e-12)


@given(pairs)
def test_agrees_with_the_oracle(pair: tuple[list[int], list[int]]) -> None:
    assert psi(*pair) == pytest.approx(oracle(*pair), abs=1e-9)


@given(pairs)
def test_is_never_negative_and_the_same_from_both_sides(pair: tuple[list[int], list[int]]) -> None:
    expected, actual = pair
    assert psi(expected, actual) >= 0
    assert psi(expected, actual) == pytest.approx(psi(actual, expected), abs=1e-12)


@given(counts, st.integers(1, 1000))
def test_is_zero_for_the_same_shares(side: list[int], times: int) -> None:
    assert psi(side, [count * times for count in side]) == pytest.approx(0, abs=1e-12)


@given(pairs, st.randoms())
def test_the_order_of_bins_does_not_matter(pair: tuple[list[int], list[int]], random: object) -> None:
    order = list(range(len(pair[0])))
    random.shuffle(order)  # type: ignore[attr-defined]
    moved = [[side[place] for place in order] for side in pair]
    assert psi(*moved) == pytest.approx(psi(*pair), abs=1e-12)


@pytest.mark.parametrize(("expected", "actual"), [([1, 2], [1, 2, 3]), ([0, 0], [1, 1]), ([1, 1], [0, 0]), ([], [])])
def test_refuses_what_cannot_be_compared(expected: list[int], actual: list[int]) -> None:
    with pytest.raises(ValueError, match="PSI"):
        psi(expected, actual)


@given(st.integers(1, 400), st.floats(0.001, 0.999))
def test_the_quantile_is_scipys(degrees: int, quantile: float) -> None:
    assert chi2_quantile(degrees, quantile) == pytest.approx(chi2.ppf(quantile, degrees), rel=1e-10)


def test_the_critical_value_of_a_table() -> None:
    # chi-square at 99 % with 9 degrees of freedom: 21.666 in every table
    assert critical_value(1_000, 500, 10) == pytest.approx(21.666 * (1 / 1000 + 1 / 500), rel=1e-5)
    assert critical_value(10, 10, 1) == 0.0
    with pytest.raises(ValueError, match="at least one row"):
        critical_value(0, 10, 5)


def test_samples_of_one_population_exceed_the_critical_value_once_in_a_hundred() -> None:
    rng = np.random.default_rng(11)
    shares = np.full(10, 0.1)
    limit = critical_value(4_000, 2_000, 10)
    exceeded = sum(psi(rng.multinomial(4_000, shares), rng.multinomial(2_000, shares)) > limit for _ in range(4_000))
    assert 20 <= exceeded <= 65  # 40 expected, five standard deviations either way rounded in


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "low"), (0.0999999, "low"), (0.1, "moderate"), (0.2499999, "moderate"), (0.25, "high"), (9, "high")],
)
def test_bands(value: float, expected: str) -> None:
    assert band(value) == expected


@pytest.mark.parametrize(
    ("values", "status", "mean"),
    [
        ([0.023, 0.15, 0.008], "low", 0.181 / 3),  # the document's example
        ([0.0, 0.0, 0.0, 0.26], "moderate", 0.065),  # low mean, raised by one high
        ([0.2, 0.2], "moderate", 0.2),
        ([0.1, 0.9], "high", 0.5),
        ([0.25], "high", 0.25),
    ],
)
def test_overall(values: list[float], status: str, mean: float) -> None:
    found, found_mean = overall(values)
    assert found == status
    assert found_mean == pytest.approx(mean, abs=1e-12)
