"""Wire types of projects and their timeline."""

import uuid
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.schemas.common import JsonObject, LongText, Name
from monitoring.store.tables import AuditEvent, Project

DaysToKeep = Annotated[
    int, Meta(ge=1, le=3650, description="how many days the rows of the inference log stay; null: as the setting says")
]


class ProjectCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A project to make."""

    name: Name
    description: LongText = ""
    log_retention_days: DaysToKeep | None = None


class ProjectUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A project's new name; what is left out of the others stays as it is."""

    name: Name
    description: LongText | None = None
    log_retention_days: DaysToKeep | UnsetType | None = UNSET


class ProjectView(msgspec.Struct, frozen=True):
    """A project."""

    id: uuid.UUID
    name: str
    description: str
    log_retention_days: int | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Project) -> "ProjectView":
        """Return the view of a stored project."""
        return cls(row.id, row.name, row.description, row.log_retention_days, row.created_at, row.updated_at)


class ProjectPage(msgspec.Struct, frozen=True):
    """A page of projects."""

    items: list[ProjectView]
    total: int
    limit: int
    offset: int


class ProjectAnswer(msgspec.Struct, frozen=True):
    """One project, and its id beside it."""

    project: ProjectView
    project_id: uuid.UUID

    @classmethod
    def of(cls, row: Project) -> "ProjectAnswer":
        """Return the answer about a stored project."""
        return cls(ProjectView.of(row), row.id)


class EventView(msgspec.Struct, frozen=True):
    """One change, out of the audit log."""

    id: uuid.UUID
    action: str
    actor: str
    subject_type: str
    subject_id: str
    before: JsonObject | None
    after: JsonObject | None
    created_at: datetime

    @classmethod
    def of(cls, row: AuditEvent) -> "EventView":
        """Return the view of a stored event."""
        return cls(
            id=row.id,
            action=row.action,
            actor=row.actor,
            subject_type=row.subject_type,
            subject_id=row.subject_id,
            before=row.before,
            after=row.after,
            created_at=row.created_at,
        )


class Timeline(msgspec.Struct, frozen=True):
    """A page of what changed in a project, newest first."""

    events: list[EventView]
    total: int
    limit: int
    offset: int
