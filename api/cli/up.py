"""`pilothouse up`."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version

import click

from api.cli.demo.mail_sink import MailSink, sink_folder
from api.cli.errors import expected, read_settings
from api.settings import Settings
from api.supervisor.console import Voice
from api.supervisor.home import Home, HomeLock
from api.supervisor.orphans import MARK
from api.supervisor.parts import api_address
from api.supervisor.ports import is_loopback
from api.supervisor.prefect_parts import prefect_address
from api.supervisor.preparation import check_ports, check_settings, end_orphans
from api.supervisor.process import Command, launched
from api.supervisor.supervisor import Ready, Supervisor

_DEMO_SENDER = "pilothouse@pilothouse.example"


@click.command("up")
@click.option("--demo", is_flag=True, help="Then run the demo: train, deploy, predict and watch drift on real data.")
@expected
def up_command(*, demo: bool) -> None:
    """Start everything and keep it running until Ctrl-C.

    \b
    PILOTHOUSE_HOME          where the data is kept
    PILOTHOUSE_HOST          where the API listens (127.0.0.1)
    PILOTHOUSE_PORT          the API's port (8888)
    PILOTHOUSE_PREFECT_PORT  Prefect's port (4200)
    PILOTHOUSE_DATABASE_URL  a PostgreSQL of your own in place of the embedded one
    PILOTHOUSE_ADMIN_KEY     the admin key, in place of one made and shown at the first start
    """
    settings, voice = read_settings(), Voice()
    check_settings(settings)
    home = Home(settings.home)
    home.create()
    lock = HomeLock(home)
    lock.acquire()
    try:
        with _mail_sink(settings, home) if demo else nullcontext(settings) as resolved:
            _run(resolved, home, voice, demo=demo)
    finally:
        voice.settled()
        lock.release()


@contextmanager
def _mail_sink(settings: Settings, home: Home) -> Iterator[Settings]:
    """Run a mail sink as long as we run, and yield settings that use it, unless there is a mail server to use."""
    if settings.smtp_host is not None:
        yield settings
        return
    sink = MailSink(sink_folder(home))
    host, port = sink.start()
    sender = settings.smtp_from or _DEMO_SENDER
    try:
        update = {"smtp_host": host, "smtp_port": port, "smtp_security": "none", "smtp_from": sender}
        yield settings.model_copy(update=update)
    finally:
        sink.stop()


def _run(settings: Settings, home: Home, voice: Voice, *, demo: bool) -> None:
    voice.say(f"Pilothouse {version('pilothouse')} in {home.root}")
    ended = end_orphans(home)
    if ended:
        voice.say(f"  Ended {ended} process{'es' if ended > 1 else ''} that an earlier run left behind")
    check_ports(settings)
    voice.waiting("Starting")

    async def when_ready(ready: Ready) -> None:
        _announce(ready, settings, home, voice)
        if demo:
            _announce_mail(settings, home, voice)
            await _run_demo(home, voice, key=ready.admin_key)

    asyncio.run(Supervisor(settings, home, voice).run(when_ready))
    voice.say("Stopped")


def _announce_mail(settings: Settings, home: Home, voice: Voice) -> None:
    """Say where the demo's mail goes."""
    if settings.smtp_from == _DEMO_SENDER:
        voice.say(f"  {'Mail':<12}kept in {sink_folder(home)} (PILOTHOUSE_SMTP_HOST would send it)", style="bold")


async def _run_demo(home: Home, voice: Voice, *, key: str | None) -> None:
    """Run the demo in a process of its own, which ends with us; its failure stops nothing."""
    given = {"PILOTHOUSE_KEY": key} if key else {}
    environment = {**os.environ, **given, MARK: str(home.root), "PILOTHOUSE_HOME": str(home.root)}
    command = Command((sys.executable, "-m", "api.cli.main", "demo"), environment, home.root)
    process = await asyncio.create_subprocess_exec(
        *launched(command), stdin=asyncio.subprocess.DEVNULL, env=environment, start_new_session=True
    )
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
    if code != 0:
        voice.say("The demo failed; everything keeps running. `pilothouse demo` runs it again", style="yellow")


def _announce(ready: Ready, settings: Settings, home: Home, voice: Voice) -> None:
    voice.say(f"Ready in {ready.took_s:.1f} s (API after {ready.api_took_s:.1f} s). Ctrl-C stops everything.")
    lines = {
        "API": api_address(settings),
        "OpenAPI": f"{api_address(settings)}/schema",
        "Prefect UI": prefect_address(settings),
        "Logs": str(home.logs),
    }
    for name, value in lines.items():
        voice.say(f"  {name:<12}{value}", style="bold")
    if not is_loopback(settings.host):
        voice.say(f"  The API listens on {settings.host}: put TLS in front of it before it leaves a trusted network")
    if not is_loopback(settings.prefect_host):
        voice.say(
            f"  Prefect listens on {settings.prefect_host} and asks nobody for a password: keep strangers out",
            style="yellow",
        )
    elif not is_loopback(settings.host):
        voice.say("  Prefect has no login and stays on loopback; PILOTHOUSE_PREFECT_HOST would change that")
    if ready.admin_key:
        voice.say(f"  {'Admin key':<12}{ready.admin_key}", style="bold")
        voice.say(f"  $ export PILOTHOUSE_KEY={ready.admin_key}", style="cyan")
        voice.say("  The key is shown this once: keep it. `pilothouse key create` makes others")
