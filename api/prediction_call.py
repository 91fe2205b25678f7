"""One prediction from request to durable answer: read, choose, score, log."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeVar

from api.admission import Ticket, ticket_of
from api.auth import Principal
from api.errors import FieldError, Forbidden, Invalid, Unavailable, status_of
from api.gathering import TURN_S
from api.inference_log.batch import Ending
from api.inference_log.rows import LoggedRequest
from api.masked_errors import mask_error, mask_row_errors
from api.predict_body import PredictBody, read_body, read_large_body
from api.predicting import Asked, Predicted, Refusal, predict, refused_rows
from api.privacy.overrides import NoSuchPolicy, Weaker, asks_for_privacy
from api.request import ApiRequest, require_json
from api.schemas.predictions import InputRow, PredictOptions
from api.scoring.errors import ContributionsUnavailable, InvalidRows
from api.scoring.mojo import MojoScorer
from api.scoring.registry import Served
from api.serving import Serving
from monitoring.store.errors import Conflict

_INLINE_BYTES = 64 * 1024
_MASKED_INLINE_BYTES = 8 * 1024  # looking at that much text takes about a turn
_T = TypeVar("_T")

Choose = Callable[[PredictOptions], Awaitable[Served]]


class PredictionCall:
    """Answers one request, small ones in the event loop and large ones in a thread, and logs it whatever happens."""

    def __init__(self, serving: Serving, served: Served, principal: Principal, started: float) -> None:
        """Take the deployment that answers, or that at least is charged with a request nobody can read."""
        self._serving = serving
        self._served = served
        self._principal = principal
        self._started = started
        self._body: PredictBody | None = None
        self._privacy = served.privacy
        self._privacy_open = False
        self._predicted = False
        self._ticket = Ticket(None)

    async def answer(self, request: ApiRequest, choose: Choose | None = None) -> tuple[bytes, Ending]:
        """Return the answer's JSON, and where its log rows are, once they are durable.

        `choose` picks the deployment by the options.

        Raises Invalid, UnsupportedMediaType, Conflict (not active), Forbidden, Unavailable, or what reading the request
        raises.
        """
        self._ticket = ticket_of(request.scope)
        try:
            body = self._body = await self._read(request)
            if choose is not None:
                self._served = await choose(body.options)
                self._privacy = self._served.privacy
            if self._privacy_open:
                await self._choose_privacy(body.options)
            predicted = await self._predict(body)
            self._predicted = True
            self._ticket.leave_loop()
            ending = await self._serving.writer.append(predicted.log)
        except InvalidRows as error:
            raise await self._refuse_rows(error) from error
        except Exception as error:
            await self._log_refusal(self._told(error, "logs"))
            told = self._told(error, "response")
            if told is error:
                raise
            raise told from None
        return predicted.answer, ending

    async def _read(self, request: ApiRequest) -> PredictBody:
        declared = request.headers.get("content-type", "application/json")
        if declared != "application/json":
            require_json(declared)
        raw = await request.body() or b"{}"
        body = read_body(raw) if len(raw) <= _INLINE_BYTES else await self._in_thread(lambda: read_large_body(raw))
        self._body = body
        self._privacy_open = asks_for_privacy(body.options)
        body.check()
        return body

    async def _choose_privacy(self, options: PredictOptions) -> None:
        served, may_weaken = self._served, self._principal.may("admin")
        choose = self._serving.overrides.choose
        try:
            self._privacy = await self._in_thread(
                lambda: choose(served.facts, served.privacy, options, may_weaken=may_weaken)
            )
        except Weaker as error:
            raise Forbidden(str(error)) from error
        except NoSuchPolicy as error:
            raise Invalid(FieldError("options.privacy_policy_id", "is no privacy policy of this project")) from error
        self._privacy_open = False

    async def _predict(self, body: PredictBody) -> Predicted:
        served = self._served
        scorer = usable_scorer(served)
        explained = body.options.include_contributions
        asked = Asked(body.rows, body.options, self._started, body.size_bytes, self._privacy)
        if served.pace.expect(len(body.rows), explained=explained) > TURN_S or self._takes_long_to_mask(body):
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

    async def _in_thread(self, work: Callable[[], _T], *, is_refused: bool = False) -> _T:
        """Do work in a thread. Raises Unavailable when too much waits for one already, but for what is refused."""
        if not is_refused:
            self._ticket.enter_thread()
        return await asyncio.get_running_loop().run_in_executor(self._serving.scoring_threads, work)

    def _takes_long_to_mask(self, body: PredictBody) -> bool:
        return self._privacy is not None and body.size_bytes > _MASKED_INLINE_BYTES

    async def _refuse_rows(self, error: InvalidRows) -> Invalid:
        """Log rows that cannot be scored, and return what the caller is told of them."""
        body, privacy = self._body, self._privacy
        assert body is not None  # noqa: S101 - its rows were looked at
        masked = error.errors if privacy is None else mask_row_errors(error, privacy)
        logged = masked if privacy is not None and privacy.logs else error.errors
        told = masked if privacy is not None and privacy.response else error.errors
        refused = Invalid(*[FieldError(body.place(each.row, each.field), each.message) for each in told])
        messages = {each.row: f"{each.field}: {each.message}" for each in reversed(logged)}
        await self._log_refusal(refused, messages)
        return refused

    def _told(self, error: Exception, place: Literal["logs", "response"]) -> Exception:
        """Return an error as it may stand in the log or in the answer; what nobody foresaw goes to the process log."""
        privacy = self._privacy
        if privacy is None:
            return error
        masks = getattr(privacy, place) or (privacy.logs and status_of(error) == 500)
        return mask_error(error, privacy) if masks else error

    async def _log_refusal(self, error: Exception, by_row: dict[int, str] | None = None) -> None:
        """Log a request that gets no prediction. Its own answer does not depend on whether this works."""
        if self._predicted:
            return  # it was the log that failed
        self._ticket.leave_loop()
        status = status_of(error)
        refusal = Refusal(status, "an unexpected error" if status == 500 else str(error), by_row)
        try:
            await self._serving.writer.append(await self._refused(refusal))
        except Unavailable:
            return

    async def _refused(self, refusal: Refusal) -> LoggedRequest:
        deployment_id, inputs, privacy = self._served.facts.deployment_id, self._refused_inputs(), self._privacy

        def make() -> LoggedRequest:
            return refused_rows(deployment_id, refusal, inputs, privacy, started=self._started)

        body = self._body
        if body is not None and self._takes_long_to_mask(body):
            return await self._in_thread(make, is_refused=True)
        return make()

    def _refused_inputs(self) -> Sequence[InputRow | None]:
        """Return what the log keeps of the inputs: nothing where it must not or cannot."""
        body = self._body
        if body is None or not body.fits:
            return [None]
        if self._privacy_open or not body.options.store_payload:
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
