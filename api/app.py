"""The composition root: the one place that builds the world and hands it to the routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from prometheus_client import CollectorRegistry

from api.auth import KeyRing, provide_principal
from api.errors import EXCEPTION_HANDLERS
from api.health import Check, database_check, prefect_check
from api.idempotency import provide_once
from api.openapi import complete_openapi, openapi_config
from api.request import ApiRequest
from api.routes.health import get_liveness, get_readiness
from api.routes.keys import create_api_key, list_api_keys, revoke_api_key
from api.routes.metrics import REQUEST_METRICS, get_metrics
from api.routes.projects import (
    create_project,
    delete_project,
    get_project,
    get_timeline,
    list_projects,
    update_project,
)
from api.settings import Settings
from monitoring.store.database import Database

# Registered as one router: Litestar prepares handlers that are added one by one again with each later one on the same
# path, and wraps them for the thread pool each time (https://github.com/litestar-org/litestar/pull/4738).
ROUTES = [
    *(get_liveness, get_readiness, get_metrics),
    *(create_api_key, list_api_keys, revoke_api_key),
    *(create_project, list_projects, get_project, update_project, delete_project, get_timeline),
]


def create_app(settings: Settings) -> Litestar:
    """Return the application for these settings; services open with its lifespan and close with it."""
    database = Database(settings.resolved_database_url())

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await asyncio.to_thread(database.close)

    health_checks: dict[str, Check] = {
        "database": database_check(database),
        "prefect": prefect_check(settings.prefect_address),
    }
    app = Litestar(
        route_handlers=[Router("/", route_handlers=ROUTES)],
        request_class=ApiRequest,
        exception_handlers=EXCEPTION_HANDLERS,
        dependencies={
            "database": Provide(lambda: database, sync_to_thread=False),
            "principal": Provide(provide_principal, sync_to_thread=False),
            "once": Provide(provide_once, sync_to_thread=False),
        },
        state=State(
            {
                "settings": settings,
                "database": database,
                "key_ring": KeyRing(database),
                "metrics": CollectorRegistry(),
                "health_checks": health_checks,
            }
        ),
        lifespan=[lifespan],
        middleware=[REQUEST_METRICS.middleware],
        openapi_config=openapi_config(),
        logging_config=None,
        request_max_body_size=settings.max_request_mb * 2**20,
    )
    complete_openapi(app)
    return app
