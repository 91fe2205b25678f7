"""How predictions stand in the OpenAPI document: their handlers read the body themselves, unseen by the framework."""

from dataclasses import dataclass

from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from api.schemas.predictions import MAX_ROWS

_BOOLEAN = [OpenAPIType.BOOLEAN, OpenAPIType.NULL]
_TEXT = [OpenAPIType.STRING, OpenAPIType.NULL]
_ROW = Schema(type=OpenAPIType.OBJECT, description="feature names and values", additional_properties=True)
_OPTIONS = Schema(
    type=[OpenAPIType.OBJECT, OpenAPIType.NULL],
    additional_properties=False,
    properties={
        "include_contributions": Schema(type=OpenAPIType.BOOLEAN, default=False),
        "store_payload": Schema(type=OpenAPIType.BOOLEAN, default=True),
        "privacy_policy_id": Schema(
            type=_TEXT, description="masks by this policy of the project instead; a weaker one needs scope admin"
        ),
        "anonymize_logs": Schema(type=_BOOLEAN, description="false where the deployment masks needs scope admin"),
        "anonymize_response": Schema(type=_BOOLEAN, description="false where the deployment masks needs scope admin"),
        "routing_key": Schema(
            type=_TEXT,
            description="pins a project's request to one side of its split",
        ),
    },
)
_BODY = Schema(
    type=OpenAPIType.OBJECT,
    required=["inputs"],
    additional_properties=False,
    properties={
        "inputs": Schema(
            one_of=[_ROW, Schema(type=OpenAPIType.ARRAY, items=_ROW, min_items=1, max_items=MAX_ROWS)],
            description="one row, or a list of rows",
        ),
        "options": _OPTIONS,
    },
)


@dataclass
class PredictOperation(Operation):
    """The operation with the body it takes."""

    def __post_init__(self) -> None:
        """Describe the body."""
        self.request_body = RequestBody(content={"application/json": OpenAPIMediaType(schema=_BODY)}, required=True)
