"""The other workers: a change of production is done when all of them serve by it, or may serve none by memory."""

import logging
import time
import uuid

from sqlalchemy.exc import SQLAlchemyError

from api.errors import Unavailable
from monitoring.store.database import Database
from monitoring.store.workers import Worker, acknowledge_change, forget_change, workers_behind

logger = logging.getLogger(__name__)

_BEYOND_LEASE_S = 2.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.004, 0.1


class Peers:
    """Waits for the workers that share our database."""

    def __init__(self, database: Database, worker_id: uuid.UUID, lease_s: float) -> None:
        self._database = database
        self._worker_id = worker_id
        self._lease_s = lease_s

    def await_change(self, change_id: uuid.UUID) -> None:
        """Return once every other worker has acknowledged a change that is committed, or has lost its lease.

        After a lease and a little more, who still holds one renewed it since, and so has heard. Raises Unavailable when
        the database does not answer meanwhile: the change stands, but nobody can say who knows.
        """
        deadline, pause = time.monotonic() + self._lease_s + _BEYOND_LEASE_S, _FIRST_PAUSE_S
        try:
            self._note_open(change_id)
            while behind := self._behind(change_id):
                if time.monotonic() > deadline:
                    slow = ", ".join(f"{worker.pid} on {worker.host}" for worker in behind)
                    logger.warning("workers that heard of a change but have not loaded it yet: %s", slow)
                    break
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            with self._database.transaction() as session:
                forget_change(session, change_id)
        except SQLAlchemyError as error:
            logger.warning("a change of production is not confirmed by the other workers: %s", type(error).__name__)
            raise Unavailable(
                "The change is made, but the database went away before every worker confirmed it: look, and repeat it"
            ) from error

    def _note_open(self, change_id: uuid.UUID) -> None:
        """Let a worker that connects just now, too late for the announcement, know what is waited for."""
        with self._database.transaction() as session:
            acknowledge_change(session, change_id, self._worker_id)

    def _behind(self, change_id: uuid.UUID) -> list[Worker]:
        with self._database.transaction() as session:
            return workers_behind(session, change_id, own=self._worker_id)
