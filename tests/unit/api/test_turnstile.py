"""Requests begin in their order, few in each turn of the event loop."""

import asyncio

from api.turnstile import Turnstile


def test_requests_begin_in_order_and_few_a_turn() -> None:
    async def run() -> list[list[int]]:
        turnstile, turns = Turnstile(3), list[list[int]]()
        begun: list[int] = []
        for number in range(8):
            turnstile.enter(lambda number=number: begun.append(number))  # type: ignore[misc]
        while len(begun) < 8:
            turns.append(list(begun))
            await asyncio.sleep(0)
        return [*turns, begun]

    assert asyncio.run(run()) == [[0, 1, 2], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 6, 7]]


def test_a_turn_without_requests_leaves_all_places_free() -> None:
    async def run() -> int:
        turnstile, begun = Turnstile(2), list[int]()
        for round_ in range(5):
            turnstile.enter(lambda: begun.append(0))
            turnstile.enter(lambda: begun.append(0))
            assert len(begun) == 2 * (round_ + 1)
            for _ in range(3):
                await asyncio.sleep(0)
        return len(begun)

    assert asyncio.run(run()) == 10
