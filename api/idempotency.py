"""`Idempotency-Key`: a repeated creation creates once and gives the first answer again.

A handler that creates takes the dependency `once` and writes

    with once.claim(data) as claim, database.transaction() as session:
        row = create(...)
        answer = View.of(row)
        claim.keep(session, answer)
    return answer

so that the answer is remembered in the transaction of the change: after a crash either both are there or neither.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from litestar.di import NamedDependency
from litestar.params import HeaderParameter
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from api.auth import Principal
from api.errors import AlreadyAnswered
from api.request import ApiRequest
from monitoring.store.database import Database
from monitoring.store.errors import Conflict
from monitoring.store.idempotency import Attempt, GivenAnswer, begin, keep, release

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A repeat with the same key and body within 24 h creates nothing and gets the first answer",
    ),
]


@dataclass(frozen=True)
class Claim:
    """The right to do the work now; empty when the request carries no key."""

    attempt: Attempt | None

    def keep(self, session: Session, answer: object, *, status_code: int = 201) -> None:
        """Remember the answer with the change that `session` makes."""
        if self.attempt is not None:
            keep(session, self.attempt, GivenAnswer(status_code, msgspec.json.encode(answer)))

    def keep_secret(self, session: Session, *, status_code: int = 201) -> None:
        """Remember that an answer was given, not what it said: a repeat is refused with 409."""
        if self.attempt is not None:
            keep(session, self.attempt, GivenAnswer(status_code, None))


class Once:
    """Runs what an Idempotency-Key stands for at most once."""

    def __init__(self, database: Database, *, api_key_id: str, key: str | None, route: str) -> None:
        self._database = database
        self._api_key_id = api_key_id
        self._key = key
        self._route = route

    @contextlib.contextmanager
    def claim(self, body: object) -> Iterator[Claim]:
        """Yield the claim for this request's body; give the key back when the block fails.

        Raises AlreadyAnswered (the first answer goes out again), or Conflict: another body, still running, or an
        answer that held a secret.
        """
        if self._key is None:
            yield Claim(None)
            return
        attempt = Attempt(self._api_key_id, self._key, self._fingerprint(body), datetime.now(UTC))
        with self._database.transaction() as session:
            given = begin(session, attempt)
        if given is not None:
            raise _repeat(given)
        try:
            yield Claim(attempt)
        except BaseException:
            with contextlib.suppress(SQLAlchemyError), self._database.transaction() as session:
                release(session, attempt)
            raise

    def _fingerprint(self, body: object) -> bytes:
        return hashlib.sha256(self._route.encode() + b"\n" + msgspec.json.encode(body)).digest()


def _repeat(given: GivenAnswer) -> Exception:
    if given.body is None:
        return Conflict(
            "This Idempotency-Key was answered with a secret that was shown once and is not kept: "
            "revoke what it made if the secret is lost, and ask again with a new key"
        )
    return AlreadyAnswered(given.status_code, given.body)


def provide_once(
    request: ApiRequest,
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    idempotency_key: IdempotencyKey = None,
) -> Once:
    """Give a creating handler its `Once`."""
    return Once(
        database,
        api_key_id=principal.key_id,
        key=idempotency_key,
        route=f"{request.method} {request.url.path}",
    )
