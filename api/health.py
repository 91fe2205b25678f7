"""How each part is asked whether it does its work. Every check answers within PATIENCE_S and never raises."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import httpx
import psycopg

from api.inference_log.writer import LogWriter
from api.lease import Lease
from api.schemas.health import Health, PartHealth
from monitoring.store.database import Database

PATIENCE_S = 2.0

Check = Callable[[], Awaitable[PartHealth]]


async def examine(checks: Mapping[str, Check]) -> Health:
    """Ask all parts at once."""
    found = await asyncio.gather(*(_patiently(check) for check in checks.values()))
    return Health.of(dict(zip(checks, found, strict=True)))


async def _patiently(check: Check) -> PartHealth:
    try:
        return await asyncio.wait_for(check(), timeout=PATIENCE_S)
    except TimeoutError:
        return PartHealth("down", f"no answer within {PATIENCE_S:g} s")


def database_check(database: Database, predicts_without: Callable[[], bool]) -> Check:
    """Return the check that asks PostgreSQL, over a connection of its own so that a busy pool does not count.

    It is `degraded`, not `down`, while predictions go on without.
    """

    async def check() -> PartHealth:
        try:
            async with (
                asyncio.timeout(PATIENCE_S * 0.75),
                await psycopg.AsyncConnection.connect(database.url, connect_timeout=2) as connection,
            ):
                await connection.execute("SELECT 1")
        except (psycopg.Error, TimeoutError) as error:
            silent = f"PostgreSQL does not answer ({type(error).__name__})"
            if predicts_without():
                return PartHealth("degraded", f"{silent}; deployments already loaded keep predicting")
            return PartHealth("down", silent)
        return PartHealth("ok")

    return check


def prefect_check(address: str) -> Check:
    """Return the check that asks the Prefect server at `address`; never `down`, for predictions go on without it."""

    async def check() -> PartHealth:
        try:
            async with asyncio.timeout(PATIENCE_S * 0.75), httpx.AsyncClient(trust_env=False) as client:
                (await client.get(f"{address}/api/health")).raise_for_status()
        except (httpx.HTTPError, TimeoutError) as error:
            return PartHealth("degraded", f"Prefect does not answer at {address} ({type(error).__name__})")
        return PartHealth("ok")

    return check


def log_check(writer: LogWriter) -> Check:
    """Return the check that log rows are made durable; `degraded` while they go to the spool or wait there."""

    async def check() -> PartHealth:
        waiting = 0 if writer.spool is None else writer.spool.figures.waiting_rows
        if writer.is_up:
            joining = f"{waiting} spooled rows are joining the log"
            return PartHealth("degraded", joining) if waiting else PartHealth("ok")
        if writer.is_spooling:
            return PartHealth("degraded", f"PostgreSQL takes no log rows: they go to the spool ({waiting} wait there)")
        return PartHealth("down", "the inference log cannot be written just now")

    return check


def production_check(lease: Lease) -> Check:
    """Return the check that this worker hears of promotions; `degraded` while it must ask the database instead."""

    async def check() -> PartHealth:
        if lease.is_held:
            return PartHealth("ok")
        if lease.covers_memory():
            return PartHealth("degraded", "the database server is down: production stays as it was")
        return PartHealth("degraded", "no word from the database: each prediction by project asks it")

    return check


def flag_check(is_up: Callable[[], bool], otherwise: str) -> Check:
    """Return the check of a part that knows its own state."""

    async def check() -> PartHealth:
        return PartHealth("ok") if is_up() else PartHealth("down", otherwise)

    return check
