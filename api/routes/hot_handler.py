"""A route handler without a cost that the framework adds to every guarded request."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import HTTPRouteHandler


class HotHandler(HTTPRouteHandler):
    """Runs its guards with itself; the framework makes a copy of the handler for each guard and request."""

    async def authorize_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Raise what a guard raises."""
        for guard in self.resolve_guards():
            await guard(connection, self)  # type: ignore[misc]
