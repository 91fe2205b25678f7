"""The embedded PostgreSQL for as long as one command needs it, where no `up` keeps it running."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.settings import Settings
from api.supervisor import orphans
from api.supervisor.databases import DatabaseUnusable, ensure_database
from api.supervisor.home import Home, HomeLock, is_locked
from api.supervisor.log_files import last_lines
from api.supervisor.postgres import EmbeddedPostgres
from api.supervisor.probes import answers
from api.supervisor.process import Command, launched

_DATABASE = "pilothouse"
_START_S = 60.0
_STOP_S = 30.0


@contextmanager
def running_database(settings: Settings) -> Iterator[str]:
    """Yield the address of the installation's database, whoever runs it: its own server, `up`, or we, meanwhile.

    Raises RuntimeError when there is none.
    """
    home = Home(settings.home)
    if settings.database_url or is_locked(home) or not (home.postgres / "data").exists():
        yield settings.resolved_database_url()
        return
    with locked_home(home), brief_server(home) as url:
        yield url


@contextmanager
def locked_home(home: Home) -> Iterator[None]:
    """Hold the home as `up` would, made if missing. Raises HomeInUse, HomeUnusable."""
    home.create()
    lock = HomeLock(home)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def brief_server(home: Home) -> Iterator[str]:
    """Run the embedded server as long as the block, and yield our database's address; hold the home's lock."""
    orphans.end(orphans.marked_processes(home.root))
    server = EmbeddedPostgres(home.postgres)
    server.prepare()
    environment = {"PATH": os.environ.get("PATH", ""), orphans.MARK: str(home.root)}
    command = Command(server.command(), environment, Path("/"), user=server.user, stop_signal=server.stop_signal)
    log = home.log("postgres")
    with log.open("ab") as output:
        running = subprocess.Popen(  # noqa: S603 - our own command line
            launched(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=command.folder,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(running, server.url(), log)
        ensure_database(server.url(_DATABASE), setting="PILOTHOUSE_DATABASE_URL")
        yield server.url(_DATABASE)
    finally:
        running.send_signal(server.stop_signal)
        try:
            running.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _wait_until_it_answers(running: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not answers(url):
        if running.poll() is not None or time.monotonic() > deadline:
            said = "\n".join(last_lines(log, since_byte=0))
            raise DatabaseUnusable(f"The embedded PostgreSQL does not start. Its log {log} ends with:\n{said}")
        time.sleep(0.1)
