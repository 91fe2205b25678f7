"""The parts of an installation: what each runs, and how to tell that it is ready."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx

import api
from api.settings import Settings
from api.supervisor import prefect_parts
from api.supervisor.home import Home
from api.supervisor.orphans import MARK
from api.supervisor.part import Part
from api.supervisor.ports import reachable_host
from api.supervisor.postgres import EmbeddedPostgres
from api.supervisor.probes import answers
from api.supervisor.process import Child, Command

_BACKGROUND = 5  # predictions come before flows, at start and ever after
FLOW_DEPLOYMENTS = Path(api.__file__).parents[1] / "prefect.yaml"


def api_address(settings: Settings) -> str:
    """Return the address of our API as this machine reaches it."""
    return f"http://{reachable_host(settings.host)}:{settings.port}"


def mail_environment(settings: Settings) -> dict[str, str]:
    """Return the mail server's settings for the parts: with `up --demo` they are not in our own environment."""
    if settings.smtp_host is None:
        return {}
    given = {
        "HOST": settings.smtp_host,
        "PORT": str(settings.smtp_port),
        "SECURITY": settings.smtp_security,
        "FROM": settings.smtp_from,
    }
    return {f"PILOTHOUSE_SMTP_{name}": value for name, value in given.items() if value is not None}


class Parts:
    """Builds the parts for one set of settings; `database_url` and `prefect_database_url` are resolved addresses."""

    def __init__(
        self, settings: Settings, home: Home, client: httpx.AsyncClient, *, database_url: str, prefect_database_url: str
    ) -> None:
        self._settings = settings
        self._home = home
        self._client = client
        self._prefect = prefect_parts.prefect_address(settings)
        self._environment = {
            **os.environ,
            MARK: str(home.root),
            "PILOTHOUSE_HOME": str(home.root),
            "PILOTHOUSE_DATABASE_URL": database_url,
            "PYTHONUNBUFFERED": "1",
            **mail_environment(settings),
        }
        self._prefect_environment = prefect_parts.prefect_environment(
            self._environment, settings, home, database_url=prefect_database_url
        )

    def postgres(self, server: EmbeddedPostgres) -> Part:
        """Return the embedded database server."""

        def command() -> Command:
            environment = {"PATH": os.environ.get("PATH", ""), MARK: str(self._home.root)}
            return Command(server.command(), environment, Path("/"), user=server.user, stop_signal=server.stop_signal)

        async def is_ready(_: Child) -> bool:
            return await asyncio.to_thread(answers, server.url())

        return Part(
            "postgres",
            "PostgreSQL",
            command,
            is_ready,
            address=str(server.socket_folder),
            prepare=server.prepare,
            stop_timeout_s=20.0,
        )

    def api(self) -> Part:
        """Return our API."""
        address = api_address(self._settings)
        command = self._python("api.cli.main", "api", environment=self._environment)
        return Part("api", "API", lambda: command, self._answers(f"{address}/health/live"), address=address)

    def prefect(self, *, trigrams: bool) -> Part:
        """Return Prefect's server with its UI; without `trigrams` it does without the pg_trgm extension."""
        module = "prefect" if trigrams else "flows.prefect_server"
        where = ("--host", self._settings.prefect_host, "--port", str(self._settings.prefect_port))
        command = self._python(module, "server", "start", *where, environment=self._prefect_environment)
        return Part(
            "prefect", "Prefect", lambda: command, self._answers(f"{self._prefect}/api/health"), address=self._prefect
        )

    def flows(self) -> Part:
        """Return the step that registers the flow deployments of prefect.yaml."""
        arguments = ("--no-prompt", "deploy", "--all", "--prefect-file", str(FLOW_DEPLOYMENTS))
        command = self._python("prefect", *arguments, environment=self._prefect_environment)

        async def is_ready(_: Child) -> bool:
            return False  # over when it exits

        return Part(
            "flows",
            "Flows",
            lambda: command,
            is_ready,
            prepare=self._ensure_work_pool,
            once=True,
            ready_timeout_s=180.0,
        )

    def worker(self) -> Part:
        """Return the worker that runs the flows."""
        command = self._python("flows.worker", environment=self._prefect_environment)
        started: dict[int, datetime] = {}

        async def is_ready(child: Child) -> bool:
            since = started.setdefault(child.pid, datetime.now(UTC))
            return await prefect_parts.worker_beats(self._client, self._prefect, since=since)

        return Part("worker", "Worker", lambda: command, is_ready, prepare=self._ensure_work_pool, stop_timeout_s=15.0)

    def _python(self, module: str, *arguments: str, environment: dict[str, str]) -> Command:
        niceness = 0 if environment is self._environment else _BACKGROUND
        return Command((sys.executable, "-m", module, *arguments), environment, self._home.root, niceness=niceness)

    def _answers(self, url: str) -> Callable[[Child], Awaitable[bool]]:
        async def is_ready(_: Child) -> bool:
            return await prefect_parts.http_ok(self._client, url)

        return is_ready

    def _ensure_work_pool(self) -> None:
        prefect_parts.ensure_work_pool(self._prefect)
