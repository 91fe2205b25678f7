"""Identifiers: UUID version 7, which sort by creation time."""

import uuid

import uuid_utils


def new_id() -> uuid.UUID:
    """Return a fresh UUIDv7 (RFC 9562)."""
    return uuid.UUID(int=uuid_utils.uuid7().int)
