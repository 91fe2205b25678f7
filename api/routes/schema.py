"""The page that renders the OpenAPI document: Swagger UI from an installed package, so it needs no internet."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.params import FromPath
from litestar.response import File

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Pilothouse API</title>
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/schema/assets/swagger-ui.css">
</head>
<body>
  <div id="page"><p>The document is <a href="/schema/openapi.json">/schema/openapi.json</a>.</p></div>
  <script src="/schema/assets/swagger-ui-bundle.js"></script>
  <script>
    SwaggerUIBundle({url: "/schema/openapi.json", dom_id: "#page", deepLinking: true, persistAuthorization: true});
  </script>
</body>
</html>
"""
_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}


def _asset_folder() -> Path | None:
    """Return where fastapi-offline keeps Swagger UI's files, without importing it (its import loads FastAPI)."""
    package = find_spec("fastapi_offline")
    places = package.submodule_search_locations if package else None
    return Path(places[0]) / "static" if places else None


@get("/assets/{name:str}", sync_to_thread=True)
def get_schema_asset(name: FromPath[str]) -> File:
    """Return one of Swagger UI's files."""
    folder = _asset_folder()
    if name not in _ASSETS or folder is None:
        raise NotFoundException(f"No asset {name}")
    return File(
        folder / name,
        media_type=_ASSETS[name],
        content_disposition_type="inline",
        headers={"Cache-Control": "public, max-age=86400"},
    )


class SchemaPage(OpenAPIRenderPlugin):
    """Swagger UI at `/schema`, with its files beside it."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """Return the page; it fetches the document itself."""
        return _PAGE.encode()

    def receive_router(self, router: Router) -> None:
        """Serve the assets below the page."""
        router.register(get_schema_asset)


def refuse_unknown_page(response: Response[Any]) -> Response[Any]:
    """Turn the framework's HTML page for an unknown path below `/schema` into the problem every route answers."""
    if response.status_code == 404:
        raise NotFoundException("No such page: see /schema and /schema/openapi.json")
    return response
