"""`pilothouse up` from the first process to the last: starts the parts in order, keeps them, stops them in reverse."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from api.settings import Settings
from api.supervisor import databases, orphans, preparation
from api.supervisor.console import Voice
from api.supervisor.home import Home
from api.supervisor.part import Change, Keeper, Part
from api.supervisor.parts import Parts
from api.supervisor.postgres import EmbeddedPostgres
from api.supervisor.state import write_state

_FORCE_AFTER_S = 0.5  # `uv run` may pass on the same Ctrl-C that the terminal sent us: not yet a second one


@dataclass(frozen=True)
class Ready:
    """Everything runs. `admin_key` is the key just created, if one was."""

    took_s: float
    api_took_s: float
    admin_key: str | None


class Supervisor:
    """Runs one installation until a signal."""

    def __init__(self, settings: Settings, home: Home, voice: Voice) -> None:
        self._settings = settings
        self._home = home
        self._voice = voice
        self._server = None if settings.database_url else EmbeddedPostgres(home.postgres)
        self._database_url = self._server.url("pilothouse") if self._server else str(settings.database_url)
        self._prefect_url = settings.prefect_database_url or databases.prefect_database_url(self._database_url)
        self._keepers: list[Keeper] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping_since: float | None = None

    async def run(self, when_ready: Callable[[Ready], Awaitable[None]]) -> None:
        """Start everything, call back once it is ready, and return when it was stopped. Raises what made it fail."""
        asked_to_stop = asyncio.Event()
        self._listen(asked_to_stop)
        async with httpx.AsyncClient(trust_env=False) as client:
            work = asyncio.create_task(self._work(client, when_ready))
            stop = asyncio.create_task(asked_to_stop.wait())
            try:
                await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
            finally:
                self._stopping_since = self._stopping_since or time.monotonic()
                for task in (work, stop):
                    task.cancel()
                await asyncio.gather(work, stop, return_exceptions=True)
                await self._stop()

    def _listen(self, asked_to_stop: asyncio.Event) -> None:
        def on_signal() -> None:
            now = time.monotonic()
            if self._stopping_since is None:
                self._stopping_since = now
                asked_to_stop.set()
            elif now - self._stopping_since > _FORCE_AFTER_S:
                self._voice.say("  Forced: killing what is left", style="bold red")
                self._kill_everything()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored under nohup
            loop.add_signal_handler(signal.SIGHUP, on_signal)

    async def _work(self, client: httpx.AsyncClient, when_ready: Callable[[Ready], Awaitable[None]]) -> None:
        began = time.monotonic()
        parts = Parts(
            self._settings,
            self._home,
            client,
            database_url=self._database_url,
            prefect_database_url=databases.asyncpg_url(self._prefect_url),
        )
        if self._server:
            await self._all_ready(self._keep(parts.postgres(self._server)))
        self._voice.waiting("Preparing the databases")
        prepared = await asyncio.to_thread(
            preparation.prepare_databases, self._settings, self._database_url, self._prefect_url
        )
        self._home.write_database_url(self._database_url)
        our_api, prefect = self._keep(parts.api()), self._keep(parts.prefect(trigrams=prepared.trigrams))
        self._keep(parts.flows(), prefect)
        self._keep(parts.worker(), prefect)
        await self._all_ready(our_api)
        api_took_s = time.monotonic() - began
        await self._all_ready(*self._keepers)
        self._voice.settled()
        await when_ready(Ready(time.monotonic() - began, api_took_s, prepared.admin_key))
        await asyncio.gather(*self._tasks)

    def _keep(self, part: Part, *needs: Keeper) -> Keeper:
        keeper = Keeper(part, self._home.log(part.name), self._told, needs=list(needs))
        self._keepers.append(keeper)
        self._tasks.append(asyncio.create_task(keeper.run()))
        return keeper

    def _told(self, change: Change) -> None:
        self._voice.change(change)
        write_state(self._home, self._keepers, database=databases.shown_url(self._database_url))
        if self._stopping_since is None:
            late = [keeper.part.title for keeper in self._keepers if not keeper.ready.is_set()]
            if late:
                self._voice.waiting(f"Starting {', '.join(late)}")
            else:
                self._voice.settled()

    async def _all_ready(self, *keepers: Keeper) -> None:
        """Wait until these are ready; raise PartFailed as soon as any part was given up."""

        async def all_of_them() -> None:
            for keeper in keepers:
                await keeper.ready.wait()

        waiting = asyncio.create_task(all_of_them())
        try:
            while not waiting.done():
                running: set[asyncio.Future[Any]] = {task for task in self._tasks if not task.done()}
                await asyncio.wait({waiting, *running}, return_when=asyncio.FIRST_COMPLETED)
                for task in self._tasks:
                    if task.done():
                        task.result()
        finally:
            waiting.cancel()

    async def _stop(self) -> None:
        """Stop every part, the last started first; then what the parts left behind; the database server last."""
        self._voice.settled()
        self._voice.say("Stopping")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for keeper in reversed(self._keepers):
            if keeper.part.name == "postgres":
                await self._end_leftovers()
            self._voice.waiting(f"Stopping {keeper.part.title}")
            await keeper.stop()
        await self._end_leftovers()
        self._voice.settled()
        self._home.state.unlink(missing_ok=True)

    async def _end_leftovers(self) -> None:
        left = orphans.marked_processes(self._home.root)
        if left:
            await asyncio.to_thread(orphans.end, left, grace_s=3.0)
        if self._server and all(keeper.pid is None for keeper in self._keepers):
            await asyncio.to_thread(orphans.end, orphans.postgres_processes(self._server.data), grace_s=3.0)

    def _kill_everything(self) -> None:
        for keeper in self._keepers:
            keeper.kill()
        for process in orphans.marked_processes(self._home.root):
            process.kill()
