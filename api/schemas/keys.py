"""Wire types of API keys."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from api.schemas.common import AwareTime, Name
from monitoring.store.tables import ApiKey

Scope = Literal["read", "write", "predict", "admin"]


class KeyCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to make. Without `project_id` it opens every project its creator may see."""

    name: Name
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=4)]
    project_id: uuid.UUID | None = None
    expires_at: AwareTime | None = None


class KeyView(msgspec.Struct, frozen=True):
    """A key without its secret."""

    id: str
    name: str
    scopes: list[str]
    project_id: uuid.UUID | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: ApiKey) -> "KeyView":
        """Return the view of a stored key."""
        return cls(
            id=row.id,
            name=row.name,
            scopes=row.scopes,
            project_id=row.project_id,
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )


class KeyCreated(msgspec.Struct, frozen=True):
    """A new key; `key` is its text and is shown this once."""

    id: str
    key: str
    api_key: KeyView


class KeyPage(msgspec.Struct, frozen=True):
    """A page of keys."""

    items: list[KeyView]
    total: int
    limit: int
    offset: int
