"""Traffic goes where the shares say."""

import uuid
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from api.scoring.pace import Pace
from api.scoring.routing import Routes, choose, draw

PRODUCTION, FIRST, SECOND = uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=3)


@given(st.text(), st.integers(1, 49), st.integers(1, 49))
def test_a_key_always_goes_the_same_way(key: str, first: int, second: int) -> None:
    routes = Routes(PRODUCTION, [(FIRST, first), (SECOND, second)])
    assert choose(routes, draw(key)) == choose(routes, draw(key)) in {PRODUCTION, FIRST, SECOND}


def test_shares_are_kept_over_many_keys() -> None:
    routes = Routes(PRODUCTION, [(FIRST, 20), (SECOND, 30)])
    chosen = Counter(choose(routes, draw(str(number))) for number in range(20_000))
    assert abs(chosen[FIRST] / 20_000 - 0.2) < 0.02
    assert abs(chosen[SECOND] / 20_000 - 0.3) < 0.02


def test_the_boundaries_belong_to_one_side() -> None:
    routes = Routes(PRODUCTION, [(FIRST, 20), (SECOND, 30)])
    assert [choose(routes, drawn) for drawn in (0, 19.999, 20, 49.999, 50, 99.999)] == [
        FIRST,
        FIRST,
        SECOND,
        SECOND,
        PRODUCTION,
        PRODUCTION,
    ]


def test_without_production_nobody_answers_canaries_or_not() -> None:
    assert choose(Routes(None, [(FIRST, 50)]), 10) is None


def test_draws_without_a_key_differ_and_stay_in_range() -> None:
    drawn = [draw(None) for _ in range(100)]
    assert len(set(drawn)) > 90
    assert all(0 <= each < 100 for each in drawn)


def test_a_slow_model_is_learned() -> None:
    pace = Pace()
    first = pace.expect(10, explained=False)
    for _ in range(100):
        pace.learn(2, 0.02, explained=False)
    assert pace.expect(10, explained=False) > 100 * first
    assert abs(pace.expect(10, explained=False) - 0.1) < 0.01
