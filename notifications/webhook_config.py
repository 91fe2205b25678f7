"""What a webhook channel may add to a request: headers of its own, and a signing secret."""

import base64
import binascii
import re
from collections.abc import Mapping

SECRET_PREFIX = "whsec_"  # noqa: S105 - Standard Webhooks' prefix, no secret
RESERVED_HEADERS = frozenset(
    {"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "keep-alive"}
    | {"te", "trailer", "upgrade", "expect", "proxy-authorization", "proxy-connection"}
    | {"webhook-id", "webhook-timestamp", "webhook-signature", "idempotency-key"}
)
MOST_HEADERS = 20
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,1998}[\x21-\x7e])?")


class ConfigRefused(ValueError):
    """A channel configuration that is wrong: the field (within `config`) and what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def check_headers(headers: object, *, mask: str) -> dict[str, str]:
    """Return the headers; raise ConfigRefused for one that is malformed, repeated, masked or not the user's to set."""
    if not isinstance(headers, Mapping) or len(headers) > MOST_HEADERS:
        raise ConfigRefused("headers", f"must be an object of at most {MOST_HEADERS} names and values")
    seen: set[str] = set()
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ConfigRefused("headers", "a header name is letters, digits and - only")
        _check_header(name, value, mask)
        if name.lower() in seen:
            raise ConfigRefused(f"headers.{name}", "is given twice")
        seen.add(name.lower())
    return dict(headers)


def _check_header(name: str, value: object, mask: str) -> None:
    if name.lower() in RESERVED_HEADERS:
        raise ConfigRefused(f"headers.{name}", "is set by the sender")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise ConfigRefused(f"headers.{name}", "must be 1 to 2000 printable ASCII characters")
    if value == mask:
        raise ConfigRefused(f"headers.{name}", "has no earlier value to keep: give it")


def check_secret(secret: object) -> str:
    """Return a Standard Webhooks secret, `whsec_` and the base64 of 24 to 64 bytes; raise ConfigRefused otherwise."""
    if isinstance(secret, str) and secret.startswith(SECRET_PREFIX):
        try:
            if 24 <= len(secret_bytes(secret)) <= 64:
                return secret
        except (binascii.Error, ValueError):
            pass
    raise ConfigRefused("secret", "must be whsec_ followed by the base64 of 24 to 64 random bytes")


def secret_bytes(secret: str) -> bytes:
    """Return the key inside a secret."""
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
