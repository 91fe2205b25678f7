"""The tables of privacy: policies, their rules, the versions that log rows refer to, and the keys' generations."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Column, DateTime, ForeignKey, Index, Text
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, JSONB
from sqlmodel import Field, SQLModel

from monitoring.store.ids import new_id
from monitoring.store.tables import utc_now


def _time() -> Any:  # noqa: ANN401 - as in `tables`
    return Column(DateTime(timezone=True), nullable=False)


def _text() -> Any:  # noqa: ANN401
    return Column(Text, nullable=False)


def _project(*, primary_key: bool = False) -> Any:  # noqa: ANN401
    return Column(ForeignKey("project.id", ondelete="CASCADE"), nullable=False, primary_key=primary_key)


class PrivacyPolicy(SQLModel, table=True):
    """What is personal data in a project and what is done with it; its rules stand in `privacy_rule`."""

    __tablename__ = "privacy_policy"
    __table_args__ = (Index("privacy_policy_name", "project_id", "name", unique=True),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    project_id: uuid.UUID = Field(sa_column=_project())
    name: str = Field(sa_column=_text())
    description: str = Field(default="", sa_column=_text())
    profile: str = Field(sa_column=_text(), description="hipaa, gdpr, pci_dss, ccpa or custom")
    status: str = Field(sa_column=_text(), description="draft or active")
    confidence_threshold: float = Field(sa_column=Column(DOUBLE_PRECISION, nullable=False))
    version: int = Field(default=1, description="number of its newest privacy_version")
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class PrivacyRule(SQLModel, table=True):
    """What a policy does with one type of personal data."""

    __tablename__ = "privacy_rule"
    __table_args__ = (Index("privacy_rule_type", "policy_id", "pii_type", unique=True),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    policy_id: uuid.UUID = Field(sa_column=Column(ForeignKey("privacy_policy.id", ondelete="CASCADE"), nullable=False))
    pii_type: str = Field(sa_column=_text())
    action: str = Field(sa_column=_text())
    config: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    is_enabled: bool = True
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class PrivacyVersion(SQLModel, table=True):
    """A policy's rule set as it once stood, never changed: log rows say which one masked them."""

    __tablename__ = "privacy_version"
    __table_args__ = (Index("privacy_version_number", "policy_id", "number", unique=True),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    policy_id: uuid.UUID = Field(description="no foreign key: it outlives the policy")
    project_id: uuid.UUID = Field(sa_column=_project())
    number: int
    rule_set: dict[str, Any] = Field(
        sa_column=Column(JSONB, nullable=False),
        description="{threshold, rules: {pii_type: {action, config}}}, enabled ones",
    )
    created_by: str = Field(sa_column=_text(), description="API key id")
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class PrivacyKey(SQLModel, table=True):
    """Which generation of a project's key is in use; the key itself is derived from the installation's secret."""

    __tablename__ = "privacy_key"

    project_id: uuid.UUID = Field(sa_column=_project(primary_key=True))
    generation: int = 1
    rotated_at: datetime = Field(default_factory=utc_now, sa_column=_time())
