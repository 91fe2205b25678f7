"""A part of the installation, and the keeper that starts it, watches it and starts it again."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from api.supervisor import log_files
from api.supervisor.backoff import GiveUp, after_exit, describe_exit
from api.supervisor.process import Child, Command

State = Literal["waiting", "starting", "ready", "done", "restarting", "failed", "stopped"]
_PROBE_PAUSE_S = 0.2
_LOG_CHECK_S = 60.0


@dataclass(frozen=True)
class Part:
    """What the supervisor must know of a part. `once` marks a step that is over when it exits with 0."""

    name: str
    title: str
    command: Callable[[], Command]
    is_ready: Callable[[Child], Awaitable[bool]]
    address: str | None = None
    prepare: Callable[[], None] | None = None
    once: bool = False
    ready_timeout_s: float = 90.0
    stop_timeout_s: float = 10.0


@dataclass(frozen=True)
class Change:
    """Something a person should hear about a part."""

    part: Part
    state: State
    text: str
    details: tuple[str, ...] = ()


class PartFailed(RuntimeError):
    """A part never got ready."""


class Keeper:
    """Keeps one part alive until told to stop."""

    def __init__(self, part: Part, log: Path, tell: Callable[[Change], None], *, needs: "list[Keeper]") -> None:
        self.part = part
        self.log = log
        self.state: State = "waiting"
        self.since = time.time()
        self.pid: int | None = None
        self.restarts = 0
        self.ready = asyncio.Event()
        self.was_ever_ready = False
        self._tell = tell
        self._needs = needs
        self._child: Child | None = None
        self._ready_at: float | None = None

    async def run(self) -> None:
        """Start the part and restart it when it ends. Returns when a `once` part is done; raises PartFailed."""
        failures = 0
        while True:
            for needed in self._needs:
                await needed.ready.wait()
            reason, words = await self._live()
            if self.state == "done":
                return
            ready_for_s = time.monotonic() - self._ready_at if self._ready_at is not None else 0.0
            decision = after_exit(failures=failures, was_ever_ready=self.was_ever_ready, ready_for_s=ready_for_s)
            failures = decision.failures
            if isinstance(decision, GiveUp):
                self._become("failed", f"{reason}; given up after {failures} attempts", words)
                raise PartFailed(f"{self.part.title} {reason}. Its log is {self.log}")
            again = f"attempt {failures + 1} in {decision.delay_s:g} s"
            self._become("restarting", f"{reason}; {again}", words if failures in {1, 5} or failures % 20 == 0 else [])
            await asyncio.sleep(decision.delay_s)
            self.restarts += 1

    async def stop(self) -> None:
        """Stop the process if there is one. The task of `run` must be over."""
        if self._child is not None and self.state not in {"done", "stopped"}:
            in_time = await self._child.stop(self.part.stop_timeout_s)
            self._ended()
            self._become("stopped", "stopped" if in_time else f"killed after {self.part.stop_timeout_s:g} s")

    def kill(self) -> None:
        """End the process at once."""
        if self._child is not None:
            self._child.kill()

    async def _live(self) -> tuple[str, list[str]]:
        """Run the part once; return why it ended, and its last words."""
        self._ready_at = None
        try:
            if self.part.prepare is not None:
                await asyncio.to_thread(self.part.prepare)
            self._child = child = await Child.start(self.part.command(), self.log)
        except (OSError, RuntimeError) as error:
            return f"could not be started: {error}", []
        self.pid = child.pid
        self._become("starting", "starting")
        watching = asyncio.create_task(self._watch(child))
        try:
            code = await child.wait()
        finally:
            watching.cancel()
        late = watching.done() and not watching.cancelled() and not watching.exception()
        self._ended()
        child.kill()
        if self.part.once and code == 0:
            self._become_ready("done")
            return "done", []
        self.ready.clear()
        return (
            f"was not ready within {self.part.ready_timeout_s:g} s" if late else describe_exit(code)
        ), child.last_words()

    async def _watch(self, child: Child) -> Literal["late", "ready"]:
        """Notice when the part gets ready, kill it when it does not; then keep its log bounded."""
        deadline = time.monotonic() + self.part.ready_timeout_s
        while self.part.once or not await self.part.is_ready(child):
            if time.monotonic() > deadline:
                child.kill()
                return "late"
            await asyncio.sleep(_PROBE_PAUSE_S)
        self._become_ready("ready")
        while True:
            await asyncio.sleep(_LOG_CHECK_S)
            await asyncio.to_thread(log_files.bound, self.log)

    def _ended(self) -> None:
        self.pid = None

    def _become_ready(self, state: Literal["ready", "done"]) -> None:
        took_s = time.time() - self.since
        self._ready_at, self.was_ever_ready = time.monotonic(), True
        self._become(state, f"{state} in {took_s:.1f} s")
        self.ready.set()

    def _become(self, state: State, text: str, details: "list[str] | tuple[str, ...]" = ()) -> None:
        self.state, self.since = state, time.time()
        self._tell(Change(self.part, state, text, tuple(details)))
