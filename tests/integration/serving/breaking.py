"""Ways to break the connection between the log writer and PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sqlalchemy import make_url, text

from monitoring.store.database import Database

SOCKET = ".s.PGSQL.5432"


def socket_folder(url: str) -> Path:
    """Return the folder of the unix socket that a database URL points to."""
    return Path(str(make_url(url).query["host"]))


def through(url: str, folder: Path) -> str:
    """Return the URL with its socket folder replaced."""
    return make_url(url).set(query={"host": str(folder)}).render_as_string(hide_password=False)


_COPY_DONE = b"c\0\0\0\4"  # the last that a client sends of a log batch: the commit follows by itself


class Relay:
    """Passes bytes between clients and PostgreSQL until told to misbehave."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.Task[None]] = set()
        self._muted = False
        self.lose_next_commit_answer = False
        self.commit_answers_lost = 0
        self.refuse_connections = False
        self.stalled = False

    def cut(self) -> None:
        """Break every connection at once."""
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        """Break every connection, take no more, and wait until all is over."""
        self.refuse_connections = True
        self.cut()
        await asyncio.gather(*self._clients)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one client."""
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        if self.refuse_connections:
            writer.transport.abort()
            return
        server_reader, server_writer = await asyncio.open_unix_connection(str(self._target / SOCKET))
        self._writers |= {writer, server_writer}
        back = asyncio.create_task(self._pump(server_reader, writer, from_client=False))
        await self._pump(reader, server_writer, from_client=True)
        for each in (writer, server_writer):
            each.transport.abort()
        await back
        self._writers -= {writer, server_writer}

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, from_client: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                while self.stalled:  # noqa: ASYNC110 - another thread may set it
                    await asyncio.sleep(0.01)
                if from_client and self.lose_next_commit_answer and _COPY_DONE in data:
                    self.lose_next_commit_answer, self._muted = False, True
                if self._muted and not from_client:
                    continue
                sink.write(data)
                await sink.drain()
                if self._muted:
                    await self._lose_answer()

    async def _lose_answer(self) -> None:
        await asyncio.sleep(0.3)  # PostgreSQL commits; its answer goes nowhere
        self.commit_answers_lost += 1
        self._muted = False
        self.cut()


@asynccontextmanager
async def relay(url: str, folder: Path) -> AsyncIterator[tuple[Relay, str]]:
    """Run a relay in front of a database; yield it and the URL that leads through it."""
    passing = Relay(socket_folder(url))
    server = await asyncio.start_unix_server(passing.serve, str(folder / SOCKET))
    try:
        yield passing, through(url, folder)
    finally:
        server.close()
        await passing.close()


def writer_backends(database: Database) -> list[int]:
    """Return the process ids of PostgreSQL's side of the log writers' connections."""
    with database.transaction() as session:
        found = session.execute(
            text(
                "SELECT pid FROM pg_stat_activity "
                "WHERE application_name = 'pilothouse-log' AND datname = current_database()"
            )
        )
        return [pid for (pid,) in found]


async def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Return once the condition holds. Raises TimeoutError when it does not in time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.05)


def until_true(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Return once the condition holds. Raises TimeoutError when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)
