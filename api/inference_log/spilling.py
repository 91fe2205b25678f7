"""Rows that the database does not take in time go to the spool: all that has gathered by one fsync, off the loop."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from api.inference_log.backlog import Backlog
from api.inference_log.batch import Waiting
from api.inference_log.spool import Spool, SpoolFull
from monitoring.store.spool_replay import SpooledRequest

logger = logging.getLogger(__name__)

_AWAY = "The inference log cannot be written just now: the database does not answer, and the spool takes no more"


class Spilling:
    """The task that moves rows from the backlog to the spool; `is_away` says whether the database is known to be."""

    def __init__(self, backlog: Backlog, spool: Spool, is_away: Callable[[], bool]) -> None:
        self._backlog = backlog
        self._spool = spool
        self._is_away = is_away
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self.is_failing = False

    def wake(self) -> None:
        """Have it look for rows that are to be spooled."""
        self._wake.set()

    async def run(self) -> None:
        """Move rows until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while taken := self._backlog.take_to_spool(everything=self._is_away()):
                if not await self._write(taken):
                    break

    async def close(self) -> None:
        """Wait for a write under way."""
        await asyncio.to_thread(self._thread.shutdown)

    async def _write(self, taken: Sequence[Waiting]) -> bool:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._append, taken)
        except Exception as error:
            self._note_failure(error)
            self._backlog.return_from_spool(taken, refuse=_AWAY if self._is_away() else None)
            return False
        self.is_failing = False
        self._backlog.end_as_spooled(taken)
        return True

    def _append(self, taken: Sequence[Waiting]) -> None:
        self._spool.append(
            [
                SpooledRequest(
                    deployment_id=rows.deployment_id,
                    instant_us=rows.stamp.instant_us,
                    status_code=rows.status_code,
                    row_count=rows.row_count,
                    lines=rows.copy_lines(),
                )
                for rows in (each.rows for each in taken)
            ]
        )

    def _note_failure(self, error: Exception) -> None:
        if not self.is_failing:
            known = isinstance(error, SpoolFull | OSError)
            logger.error("the spool does not take log rows: %s", error, exc_info=None if known else error)
        self.is_failing = True
