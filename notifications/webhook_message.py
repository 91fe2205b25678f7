"""A notice as a webhook: the JSON body of `webhook.v1.schema.json`, and the headers that identify and sign it."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from notifications import wording
from notifications.notice import Notice
from notifications.webhook_config import RESERVED_HEADERS, secret_bytes

SCHEMA = "pilothouse.alert.v1"


def compose(notice: Notice) -> bytes:
    """Return the body: the notice's facts, the schema's name, and a summary in one line. The same at each attempt."""
    body = {"schema": SCHEMA, "summary": wording.subject(notice), **asdict(notice)}
    return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()


def headers_for(
    body: bytes, *, delivery_id: str, now: datetime, secret: str | None, extra: Mapping[str, str]
) -> dict[str, str]:
    """Return the headers: the channel's own, then ours, which win.

    `webhook-id` and `Idempotency-Key` are the delivery's id, the same at each attempt; with a secret, the signature is
    that of Standard Webhooks 1.0: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
    """
    timestamp = str(int(now.timestamp()))
    headers = {name: value for name, value in extra.items() if name.lower() not in RESERVED_HEADERS}
    if "user-agent" not in {name.lower() for name in headers}:
        headers["User-Agent"] = "Pilothouse"
    headers |= {
        "Content-Type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "Idempotency-Key": delivery_id,
    }
    if secret:
        headers["webhook-signature"] = sign(body, delivery_id=delivery_id, timestamp=timestamp, secret=secret)
    return headers


def sign(body: bytes, *, delivery_id: str, timestamp: str, secret: str) -> str:
    """Return the value of `webhook-signature`."""
    signed = b".".join((delivery_id.encode(), timestamp.encode(), body))
    digest = hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
