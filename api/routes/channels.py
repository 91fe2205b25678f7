"""Channels: where notices go. Their secrets are taken, and never shown or audited."""

import uuid
from typing import Any

from litestar import delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET
from sqlmodel import Session

from api.auth import Principal, requires
from api.errors import FieldError, Invalid
from api.idempotency import Once
from api.schemas.channels import ChannelCreate, ChannelPage, ChannelPatch, ChannelView
from api.schemas.common import JsonObject, Paging
from monitoring.store import audit, channels
from monitoring.store.alert_steps import lock_alerts
from monitoring.store.alert_tables import Channel
from monitoring.store.channels import ChannelFacts
from monitoring.store.clock import database_time
from monitoring.store.database import Database
from monitoring.store.pages import Page
from monitoring.store.projects import find_project, hold_project
from notifications.channels import ConfigRefused, check_config, merge_config, public_config

_TAGS = ["channels"]


def _checked(type_: str, config: JsonObject, old: JsonObject | None = None) -> JsonObject:
    """Return a config in its stored form, masked secrets filled in from the old one. Raises Invalid."""
    try:
        return check_config(type_, config if old is None else merge_config(type_, old, config))
    except ConfigRefused as refused:
        raise Invalid(FieldError(f"config.{refused.field}", refused.message)) from refused


def _recorded(row: Channel) -> dict[str, Any]:
    return audit.snapshot(row) | {"config": public_config(row.type, row.config)}


@post(
    "/api/mlops/projects/{project_id:uuid}/channels",
    operation_id="CreateChannel",
    summary="Make a channel",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def create_channel(
    project_id: FromPath[uuid.UUID],
    data: JSONBody[ChannelCreate],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    once: NamedDependency[Once],
) -> ChannelView:
    """Make a channel: e-mail addresses, a Slack incoming webhook, or a webhook of your own."""
    principal.require_project(project_id)
    facts = ChannelFacts(data.name, data.type, _checked(data.type, data.config), data.is_enabled)
    with once.claim(data) as claim, database.transaction() as session:
        hold_project(session, project_id)
        row = channels.add_channel(session, project_id, facts, now=database_time(session))
        audit.record(session, actor=principal.key_id, action="channel.created", subject=row, after=_recorded(row))
        answer = ChannelView.of(row)
        claim.keep(session, answer)
    return answer


@get(
    "/api/mlops/projects/{project_id:uuid}/channels",
    operation_id="ListChannels",
    summary="List channels",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def list_channels(
    project_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
) -> ChannelPage:
    """List a project's channels, secrets masked."""
    principal.require_project(project_id)
    with database.transaction() as session:
        find_project(session, project_id)
        rows, total = channels.list_channels(session, project_id, Page(paging.limit, paging.offset))
    return ChannelPage([ChannelView.of(row) for row in rows], total, paging.limit, paging.offset)


@get(
    "/api/mlops/channels/{channel_id:uuid}",
    operation_id="GetChannel",
    summary="Get a channel",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_channel(
    channel_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> ChannelView:
    """Return one channel, its secrets masked."""
    with database.transaction() as session:
        row = channels.find_channel(session, channel_id)
    principal.require_project(row.project_id, kind="channel", identifier=channel_id)
    return ChannelView.of(row)


def _locked(session: Session, channel_id: uuid.UUID, principal: Principal) -> Channel:
    row = channels.lock_channel(session, channel_id)
    principal.require_project(row.project_id, kind="channel", identifier=channel_id)
    return row


def _change(session: Session, row: Channel, facts: ChannelFacts, actor: str) -> ChannelView:
    before, old = _recorded(row), row.config
    channels.change_channel(session, row, facts, now=database_time(session))
    after = _recorded(row)
    if row.config != old and after["config"] == before["config"]:
        after["config_changed"] = "in what is masked"
    audit.record(session, actor=actor, action="channel.updated", subject=row, before=before, after=after)
    return ChannelView.of(row)


@put(
    "/api/mlops/channels/{channel_id:uuid}",
    operation_id="ReplaceChannel",
    summary="Replace a channel",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def replace_channel(
    channel_id: FromPath[uuid.UUID],
    data: JSONBody[ChannelCreate],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
) -> ChannelView:
    """Say anew all of a channel but its type. Deliveries that wait go to where it then leads."""
    with database.transaction() as session:
        row = _locked(session, channel_id, principal)
        if data.type != row.type:
            raise Invalid(FieldError("type", f"stays {row.type}: make another channel for {data.type}"))
        facts = ChannelFacts(data.name, row.type, _checked(row.type, data.config, row.config), data.is_enabled)
        return _change(session, row, facts, principal.key_id)


@patch(
    "/api/mlops/channels/{channel_id:uuid}",
    operation_id="UpdateChannel",
    summary="Change a channel",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def update_channel(
    channel_id: FromPath[uuid.UUID],
    data: JSONBody[ChannelPatch],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
) -> ChannelView:
    """Change name, configuration (whole) or whether it is enabled; what is left out stays."""
    with database.transaction() as session:
        row = _locked(session, channel_id, principal)
        facts = ChannelFacts(
            name=row.name if data.name is UNSET else data.name,
            type=row.type,
            config=row.config if data.config is UNSET else _checked(row.type, data.config, row.config),
            is_enabled=row.is_enabled if data.is_enabled is UNSET else data.is_enabled,
        )
        return _change(session, row, facts, principal.key_id)


@delete(
    "/api/mlops/channels/{channel_id:uuid}",
    operation_id="DeleteChannel",
    summary="Remove a channel",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def delete_channel(
    channel_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> None:
    """Remove a channel; 409 while an alert rule names it. What still waits to go to it fails."""
    with database.transaction() as session:
        lock_alerts(session)
        row = _locked(session, channel_id, principal)
        before = _recorded(row)
        channels.remove_channel(session, row)
        audit.record(session, actor=principal.key_id, action="channel.deleted", subject=row, before=before)
