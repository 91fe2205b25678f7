"""How a JSON body is read: strictly, as the handler's own type, with the contract's rules for empty bodies."""

from typing import Any

import msgspec
from litestar import Request

from api.errors import UnsupportedMediaType


class ApiRequest(Request[Any, Any, Any]):
    """A request whose JSON body decodes straight into the type the handler declares as `data`."""

    async def body(self) -> bytes:
        """Return the body; an empty one counts as `{}` where the handler reads JSON."""
        raw = await super().body()
        if not raw and self.route_handler.parsed_data_field is not None:
            return b"{}"
        return raw

    async def json(self) -> Any:  # noqa: ANN401
        """Return the decoded body.

        Raises UnsupportedMediaType when it is declared as something else, msgspec.DecodeError when it is not JSON and
        msgspec.ValidationError when it is not of the handler's type (unknown fields included).
        """
        raw = await self.body()
        if raw != b"{}":
            self.require_json()
        field = self.route_handler.parsed_data_field
        try:
            return msgspec.json.decode(raw, type=field.annotation if field else Any)
        except UnicodeDecodeError as error:
            raise msgspec.DecodeError("it is not UTF-8 text") from error
        except RecursionError as error:
            raise msgspec.DecodeError("it is nested too deeply") from error

    def require_json(self) -> None:
        """Raise UnsupportedMediaType when the body is declared as something else than JSON."""
        require_json(self.headers.get("content-type", ""))


def require_json(content_type: str) -> None:
    """Raise UnsupportedMediaType unless the Content-Type header names JSON, or nothing."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaType(f"Send the body as application/json, not {media_type}")
