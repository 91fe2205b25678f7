"""Small predictions that arrive together are scored together: one call of the model for many requests.

Nothing waits for company. The first request asks the event loop to score at its next turn; what other requests have
come in by then goes along, so under load the groups grow by themselves.
"""

import asyncio
import time

from api.predicting import Asked, Predicted, predict_together
from api.scoring.errors import InvalidRows
from api.scoring.mojo import MojoScorer
from api.scoring.registry import Served

TURN_S = 0.008

_Waiting = tuple[Asked, asyncio.Future[Predicted]]


class Gathering:
    """Collects requests by deployment, within one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[Served, list[_Waiting]] = {}

    def join(self, served: Served, scorer: MojoScorer, asked: Asked) -> asyncio.Future[Predicted]:
        """Return what will be the answer, or InvalidRows, in one of the loop's next turns."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Predicted] = loop.create_future()
        group = self._waiting.get(served)
        if group is None:
            self._waiting[served] = [(asked, answer)]
            loop.call_soon(self._score, served, scorer)
        else:
            group.append((asked, answer))
        return answer

    def _score(self, served: Served, scorer: MojoScorer) -> None:
        """Score as many of a group as fit into one turn, and leave the others for the next."""
        group = self._waiting.pop(served)
        taken = _fitting(served, group)
        if taken < len(group):
            self._waiting[served] = group[taken:]
            asyncio.get_running_loop().call_soon(self._score, served, scorer)
        _answer(served, scorer, group[:taken])


def _fitting(served: Served, group: list[_Waiting]) -> int:
    """Return how many of the group take no longer than a turn together; at least one."""
    rows = 0
    for taken, (asked, _) in enumerate(group):
        rows += len(asked.rows)
        if taken and served.pace.expect(rows, explained=False) > TURN_S:
            return taken
    return len(group)


def _answer(served: Served, scorer: MojoScorer, group: list[_Waiting]) -> None:
    started = time.perf_counter()
    try:
        predicted = predict_together(served, scorer, [asked for asked, _ in group])
    except Exception as error:
        for _, answer in group:
            if not answer.done():
                answer.set_exception(error)
        return
    rows = sum([len(asked.rows) for asked, _ in group])
    served.pace.learn(rows, time.perf_counter() - started, explained=False)
    for (_, answer), result in zip(group, predicted, strict=True):
        if answer.done():
            continue  # its request was cancelled
        if isinstance(result, InvalidRows):
            answer.set_exception(result)
        else:
            answer.set_result(result)
