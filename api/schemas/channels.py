"""Wire types of channels."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.schemas.common import JsonObject, Name
from api.schemas.deliveries import DeliveryView
from monitoring.store.alert_tables import Channel
from notifications.channels import public_config

ChannelType = Literal["email", "slack", "webhook"]
ChannelConfig = Annotated[
    JsonObject,
    Meta(
        description="email: {to: [addresses]}; slack: {webhook_url}; webhook: {url, headers?, secret?}. Secrets are "
        "write-only: read, they are masked, and sent back masked they stay as they are"
    ),
]


class ChannelCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A channel to make, or (PUT) all that one is to be."""

    name: Name
    type: ChannelType
    config: ChannelConfig
    is_enabled: bool = True


class ChannelPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a channel; what is left out stays."""

    name: Name | UnsetType = UNSET
    config: ChannelConfig | UnsetType = UNSET
    is_enabled: bool | UnsetType = UNSET


class ChannelView(msgspec.Struct, frozen=True):
    """A channel, its secrets masked."""

    id: uuid.UUID
    project_id: uuid.UUID
    name: str
    type: str
    config: JsonObject
    is_enabled: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Channel) -> "ChannelView":
        """Return the view of a stored channel."""
        return cls(
            id=row.id,
            project_id=row.project_id,
            name=row.name,
            type=row.type,
            config=public_config(row.type, row.config),
            is_enabled=row.is_enabled,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class ChannelPage(msgspec.Struct, frozen=True):
    """A page of channels."""

    items: list[ChannelView]
    total: int
    limit: int
    offset: int


class ChannelTested(msgspec.Struct, frozen=True):
    """What became of a test message: `ok` when every delivery was sent; an e-mail channel has one an address."""

    ok: bool
    channel_id: uuid.UUID
    deliveries: list[DeliveryView]
