"""The composition root: the one place that builds the world and hands it to the routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig

from api.auth import KeyRing, provide_principal
from api.errors import EXCEPTION_HANDLERS
from api.request import ApiRequest
from api.routes.health import get_liveness
from api.settings import Settings
from monitoring.store.database import Database


def create_app(settings: Settings) -> Litestar:
    """Return the application for these settings; services open with its lifespan and close with it."""
    database = Database(settings.resolved_database_url())

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            database.close()

    return Litestar(
        route_handlers=[get_liveness],
        request_class=ApiRequest,
        exception_handlers=EXCEPTION_HANDLERS,
        dependencies={
            "database": Provide(lambda: database, sync_to_thread=False),
            "principal": Provide(provide_principal, sync_to_thread=False),
        },
        state=State({"settings": settings, "database": database, "key_ring": KeyRing(database)}),
        lifespan=[lifespan],
        openapi_config=OpenAPIConfig(title="Pilothouse", version="0.1.0", path="/schema"),
        request_max_body_size=settings.max_request_mb * 2**20,
    )
