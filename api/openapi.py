"""The OpenAPI document: what the framework cannot know by itself about security and problems."""

from collections.abc import Mapping
from http import HTTPStatus

from litestar import Litestar, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    PathItem,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
    Tag,
)
from litestar.openapi.spec.enums import OpenAPIType

from api.errors import PROBLEM_JSON
from api.routes.schema import SchemaPage, refuse_unknown_page

_DESCRIPTION = (
    "Serve H2O models and watch them. Send `Authorization: Bearer pk_...` everywhere but health, metrics and this "
    "document. Errors are `application/problem+json`; lists are newest first; times are UTC."
)
_TAGS = {
    "health": "Whether the server lives, can serve, and its figures",
    "keys": "Who may call: scopes `read`, `write`, `predict`, `admin`",
    "projects": "Rooms for models, deployments and keys",
    "models": "Imported H2O MOJO models",
    "deployments": "Models served in staging and production",
    "predictions": "Answers of deployed models, logged",
    "drift": "How far live data has moved from the reference",
    "jobs": "Background work",
    "channels": "Where notices go: e-mail, Slack, webhooks",
    "alert rules": "When to alert whom, and why or why not",
    "alerts": "What fired, and what became of it",
    "silences": "When not to tell",
    "deliveries": "What became of each notice, attempt by attempt",
    "privacy": "What is personal data and what is done with it before anything is stored",
}
_METHODS = ("get", "put", "post", "delete", "patch")


def openapi_config() -> OpenAPIConfig:
    """Return the configuration of the document and its page at `/schema`."""
    return OpenAPIConfig(
        title="Pilothouse",
        version="0.1.0",
        description=_DESCRIPTION,
        use_handler_docstrings=True,
        tags=[Tag(name=name, description=text) for name, text in _TAGS.items()],
        components=Components(
            security_schemes={
                "apiKey": SecurityScheme(type="http", scheme="bearer", description="An API key, `pk_<id>_<secret>`")
            },
        ),
        render_plugins=[SchemaPage()],
        openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, after_request=refuse_unknown_page),
    )


def complete_openapi(app: Litestar) -> None:
    """Add to each operation its security and the problems it may answer."""
    document = app.openapi_schema
    schemas = document.components.schemas = {**(document.components.schemas or {}), "Problem": _problem_schema()}
    guarded = {
        (route.path_format or "/", method.lower())
        for route in app.routes
        for method, (handler, _) in getattr(route, "route_handler_map", {}).items()
        if handler.resolve_guards()
    }
    for path, item in (document.paths or {}).items():
        for method, operation in _operations(item):
            is_guarded = (path, method) in guarded
            operation.security = [{"apiKey": []}] if is_guarded else []
            _add_problems(operation, path, method, is_guarded=is_guarded)
            _close(operation.request_body, schemas)


def _operations(item: PathItem) -> list[tuple[str, Operation]]:
    found = [(method, getattr(item, method)) for method in _METHODS]
    return [(method, operation) for method, operation in found if operation is not None]


def _close(part: object, schemas: Mapping[str, Schema]) -> None:
    """Say of every object that a body is made of, by reference, that it takes no unknown fields.

    A body without required fields may be left out.
    """
    if isinstance(part, Reference):
        schema = schemas[part.ref.rpartition("/")[2]]
        if schema.additional_properties is None and schema.properties:
            schema.additional_properties = False
            _close(schema, schemas)
    elif isinstance(part, RequestBody):
        for media in part.content.values():
            _close(media.schema, schemas)
            if isinstance(media.schema, Reference) and not schemas[media.schema.ref.rpartition("/")[2]].required:
                part.required = False  # an empty body counts as {}
    elif isinstance(part, Schema):
        for inner in (*(part.properties or {}).values(), part.items, *(part.one_of or ())):
            _close(inner, schemas)


def _add_problems(operation: Operation, path: str, method: str, *, is_guarded: bool) -> None:
    responses: dict[str, OpenAPIResponse | Reference] = dict(operation.responses or {})
    responses.pop("400", None)  # the framework's own; ours is 422
    operation.responses = responses
    statuses = [401, 403, 503] if is_guarded else []
    if "{" in path:
        statuses.append(404)
    if operation.parameters or operation.request_body:
        statuses.append(422)
    if method != "get":
        statuses += [404, 409]
    if operation.request_body is not None:
        statuses += [413, 415]
    for status in sorted(set(statuses)):
        responses.setdefault(
            str(status),
            OpenAPIResponse(
                description=HTTPStatus(status).phrase,
                content={PROBLEM_JSON: OpenAPIMediaType(schema=Reference(ref="#/components/schemas/Problem"))},
            ),
        )


def _problem_schema() -> Schema:
    text, number = Schema(type=OpenAPIType.STRING), Schema(type=OpenAPIType.INTEGER)
    return Schema(
        type=OpenAPIType.OBJECT,
        title="Problem",
        description="What went wrong (RFC 9457); `errors` names the fields of a 422",
        required=["type", "title", "status", "detail", "instance"],
        properties={
            "type": text,
            "title": text,
            "status": number,
            "detail": text,
            "instance": text,
            "errors": Schema(
                type=OpenAPIType.ARRAY,
                items=Schema(
                    type=OpenAPIType.OBJECT,
                    required=["field", "message"],
                    properties={"field": text, "message": text},
                ),
            ),
        },
    )
