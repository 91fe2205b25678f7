"""One prediction from request to durable answer: read, choose, score, log."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from api.errors import FieldError, Invalid, Unavailable, status_of
from api.gathering import TURN_S
from api.predict_body import PredictBody, read_body, read_large_body
from api.predicting import Asked, Predicted, Refusal, predict, refused_rows
from api.request import ApiRequest, require_json
from api.schemas.predictions import InputRow, PredictOptions
from api.scoring.errors import ContributionsUnavailable, InvalidRows
from api.scoring.mojo import MojoScorer
from api.scoring.registry import Served
from api.serving import Serving
from monitoring.store.errors import Conflict

_INLINE_BYTES = 64 * 1024
_T = TypeVar("_T")

Choose = Callable[[PredictOptions], Awaitable[Served]]


class PredictionCall:
    """Answers one request, small ones in the event loop and large ones in a thread, and logs it whatever happens."""

    def __init__(self, serving: Serving, served: Served, started: float) -> None:
        """Take the deployment that answers, or that at least is charged with a request nobody can read."""
        self._serving = serving
        self._served = served
        self._started = started
        self._body: PredictBody | None = None
        self._predicted = False

    async def answer(self, request: ApiRequest, choose: Choose | None = None) -> bytes:
        """Return the answer's JSON once its log rows are durable; `choose` picks the deployment by the options.

        Raises Invalid, UnsupportedMediaType, Conflict (not active), Unavailable, or what reading the request raises.
        """
        try:
            body = self._body = await self._read(request)
            if choose is not None:
                self._served = await choose(body.options)
            predicted = await self._predict(body)
            self._predicted = True
            await self._serving.writer.append(predicted.log)
        except InvalidRows as error:
            messages = {each.row: f"{each.field}: {each.message}" for each in reversed(error.errors)}
            refused = Invalid(*[FieldError(body.place(each.row, each.field), each.message) for each in error.errors])
            await self._log_refusal(refused, messages)
            raise refused from error
        except Exception as error:
            await self._log_refusal(error)
            raise
        return predicted.answer

    async def _read(self, request: ApiRequest) -> PredictBody:
        declared = request.headers.get("content-type", "application/json")
        if declared != "application/json":
            require_json(declared)
        raw = await request.body() or b"{}"
        body = read_body(raw) if len(raw) <= _INLINE_BYTES else await self._in_thread(lambda: read_large_body(raw))
        self._body = body
        body.check()
        return body

    async def _predict(self, body: PredictBody) -> Predicted:
        served = self._served
        scorer = usable_scorer(served)
        explained = body.options.include_contributions
        asked = Asked(body.rows, body.options, self._started, body.size_bytes)
        if served.pace.expect(len(body.rows), explained=explained) > TURN_S:
            return await self._in_thread(lambda: self._predict_alone(scorer, asked, is_large=True))
        if explained or body.doubt is not None:
            return self._predict_alone(scorer, asked, is_large=False)
        return await self._serving.gathering.join(served, scorer, asked)

    def _predict_alone(self, scorer: MojoScorer, asked: Asked, *, is_large: bool) -> Predicted:
        if self._body is not None and self._body.doubt is not None:
            scorer.encode(asked.rows)
            raise self._body.doubt
        started = time.perf_counter()
        try:
            predicted = predict(self._served, scorer, asked)
        except ContributionsUnavailable as error:
            raise Invalid(FieldError("options.include_contributions", error.reason)) from error
        explained = asked.options.include_contributions
        self._served.pace.learn(len(asked.rows), time.perf_counter() - started, explained=explained)
        return Predicted(predicted.answer, predicted.log.encoded()) if is_large else predicted

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._serving.scoring_threads, work)

    async def _log_refusal(self, error: Exception, by_row: dict[int, str] | None = None) -> None:
        """Log a request that gets no prediction. Its own answer does not depend on whether this works."""
        if self._predicted:
            return  # it was the log that failed
        status = status_of(error)
        reason = "an unexpected error" if status == 500 else str(error)
        rows = refused_rows(
            self._served.facts.deployment_id,
            Refusal(status, reason, by_row),
            self._refused_inputs(),
            started=self._started,
        )
        try:
            await self._serving.writer.append(rows)
        except Unavailable:
            return

    def _refused_inputs(self) -> Sequence[InputRow | None]:
        """Return what the log keeps of the inputs: nothing where it must not or cannot."""
        body = self._body
        if body is None or not body.fits:
            return [None]
        if body.privacy_asked or not body.options.store_payload:
            return [None] * len(body.rows)
        return body.rows


def usable_scorer(served: Served) -> MojoScorer:
    """Return a deployment's model. Raises Conflict when it is not active, Unavailable when it does not load now."""
    if served.scorer is not None:
        return served.scorer
    facts = served.facts
    if facts.is_active:
        raise Unavailable(f"The model of deployment {facts.deployment_id} cannot be loaded just now: {served.failure}")
    raise Conflict(f"Deployment {facts.deployment_id} is {facts.status} ({facts.stage}): only active ones predict")
