"""The tables. Times are aware UTC; ids are UUIDv7 made by us."""

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, Integer, LargeBinary, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSON, JSONB, REAL
from sqlmodel import Field, SQLModel

from monitoring.store.ids import new_id


def utc_now() -> datetime:
    """Return the current time, aware and in UTC (default of `created_at` columns only)."""
    return datetime.now(UTC)


def _time(*, nullable: bool = False) -> Any:  # noqa: ANN401 - SQLModel's Field takes a Column typed Any
    return Column(DateTime(timezone=True), nullable=nullable)


def _json(*, nullable: bool = False) -> Any:  # noqa: ANN401
    return Column(JSONB, nullable=nullable)


class Project(SQLModel, table=True):
    """A team's room: models, deployments and keys belong to one."""

    __tablename__ = "project"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    name: str = Field(sa_column=Column(Text, nullable=False))
    description: str = Field(default="", sa_column=Column(Text, nullable=False))
    log_retention_days: int | None = Field(
        default=None, sa_column=Column(Integer), description="how long log rows stay; null: as the setting says"
    )
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class ApiKey(SQLModel, table=True):
    """A caller's key. Only the SHA-256 of the secret is kept."""

    __tablename__ = "api_key"

    id: str = Field(sa_column=Column(Text, primary_key=True), description="the public part of pk_<id>_<secret>")
    name: str = Field(sa_column=Column(Text, nullable=False))
    secret_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    project_id: uuid.UUID | None = Field(default=None, sa_column=Column(ForeignKey("project.id", ondelete="CASCADE")))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    expires_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    revoked_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class Artifact(SQLModel, table=True):
    """A file by its content: MOJO archives, addressed by SHA-256 (hex)."""

    __tablename__ = "artifact"

    sha256: str = Field(sa_column=Column(Text, primary_key=True))
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class ArtifactChunk(SQLModel, table=True):
    """A slice of an artifact, in order, so no statement carries a whole file."""

    __tablename__ = "artifact_chunk"

    sha256: str = Field(
        sa_column=Column(Text, ForeignKey("artifact.sha256", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    position: int = Field(primary_key=True)
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Model(SQLModel, table=True):
    """An imported ML model: what its MOJO says of itself and what its reference was measured to be."""

    __tablename__ = "model"
    __table_args__ = (Index("model_by_project", "project_id", "created_at", "id"),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    project_id: uuid.UUID = Field(sa_column=Column(ForeignKey("project.id", ondelete="CASCADE"), nullable=False))
    experiment_id: uuid.UUID | None = None
    name: str = Field(sa_column=Column(Text, nullable=False))
    algo: str = Field(sa_column=Column(Text, nullable=False))
    category: str = Field(sa_column=Column(Text, nullable=False), description="Binomial, Multinomial or Regression")
    target: str | None = Field(default=None, sa_column=Column(Text))
    features: list[dict[str, Any]] = Field(sa_column=_json(), description="[{name, type, domain_size}] in model order")
    mojo_sha256: str = Field(sa_column=Column(Text, ForeignKey("artifact.sha256"), nullable=False))
    reference_rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    metrics: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    parameters: dict[str, Any] = Field(default_factory=dict, sa_column=_json())
    variable_importances: list[dict[str, Any]] | None = Field(default=None, sa_column=_json(nullable=True))
    trained_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class ReferenceProfile(SQLModel, table=True):
    """The frozen bins of a model's reference, and a capped sample of it (Parquet) for pictures."""

    __tablename__ = "reference_profile"

    model_id: uuid.UUID = Field(sa_column=Column(ForeignKey("model.id", ondelete="CASCADE"), primary_key=True))
    profile: dict[str, Any] = Field(sa_column=_json())
    sample: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Deployment(SQLModel, table=True):
    """A model served by us, in staging or production, or archived."""

    __tablename__ = "deployment"
    __table_args__ = (
        Index("deployment_by_project", "project_id", "created_at", "id"),
        Index(
            "one_production_per_project",
            "project_id",
            unique=True,
            postgresql_where=text("stage = 'production' AND status = 'active'"),
        ),
    )

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    project_id: uuid.UUID = Field(sa_column=Column(ForeignKey("project.id", ondelete="CASCADE"), nullable=False))
    model_id: uuid.UUID = Field(sa_column=Column(ForeignKey("model.id"), nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    stage: str = Field(sa_column=Column(Text, nullable=False), description="staging, production or archived")
    status: str = Field(sa_column=Column(Text, nullable=False), description="active, inactive or failed")
    status_reason: str | None = Field(default=None, sa_column=Column(Text))
    config: dict[str, Any] = Field(sa_column=_json(), description="name, traffic_percent and the privacy fields")
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class InferenceLog(SQLModel, table=True):
    """One row per input record, partitioned by UTC day of `created_at`; a batch shares `request_id`."""

    __tablename__ = "inference_log"
    __table_args__ = ({"postgresql_partition_by": "RANGE (created_at)"},)

    deployment_id: uuid.UUID = Field(primary_key=True)
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), primary_key=True, nullable=False),
        description="the instant in the id, to the microsecond",
    )
    id: uuid.UUID = Field(primary_key=True, description="UUIDv7: the inference id")
    request_id: uuid.UUID
    status_code: int = Field(sa_column=Column(SmallInteger, nullable=False))
    latency_ms: float = Field(sa_column=Column(REAL, nullable=False))
    inputs: dict[str, Any] | None = Field(
        default=None,
        sa_column=Column(JSON(none_as_null=True)),
        description="accepted rows: numbers for numeric features, strings for categorical ones, as the model read them",
    )
    prediction: str | None = Field(default=None, sa_column=Column(Text), description="label; null in regression")
    score: float | None = Field(
        default=None,
        sa_column=Column(DOUBLE_PRECISION),
        description="regression: the value; binomial: probability of the second label; multinomial: of the answer",
    )
    probabilities: list[float] | None = Field(
        default=None, sa_column=Column(ARRAY(DOUBLE_PRECISION)), description="per label, in the model's order"
    )
    error: str | None = Field(default=None, sa_column=Column(Text))
    privacy_version_id: uuid.UUID | None = Field(default=None, description="the rule set that masked the row")
    privacy_error: str | None = Field(
        default=None, sa_column=Column(Text), description="why masking failed; then inputs are null"
    )
    bins: dict[str, Any] | None = Field(
        default=None,
        sa_column=Column(JSON(none_as_null=True)),
        description="of masked features: the number of the frozen bin that the raw value fell in",
    )


class InferenceCount(SQLModel, table=True):
    """How many log rows a deployment has per UTC minute and status, kept in the transaction that adds them."""

    __tablename__ = "inference_count"
    __table_args__ = (Index("inference_count_by_minute", "minute"),)

    deployment_id: uuid.UUID = Field(primary_key=True)
    minute: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True, nullable=False))
    status_code: int = Field(sa_column=Column(SmallInteger, primary_key=True, nullable=False))
    row_count: int = Field(sa_column=Column(BigInteger, nullable=False))


class DriftResult(SQLModel, table=True):
    """One drift measurement of a deployment over a window; history is kept."""

    __tablename__ = "drift_result"
    __table_args__ = (Index("drift_result_by_deployment", "deployment_id", "computed_at", "id"),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    deployment_id: uuid.UUID = Field(sa_column=Column(ForeignKey("deployment.id", ondelete="CASCADE"), nullable=False))
    flow_run_id: uuid.UUID | None = Field(default=None, unique=True, description="one result a flow run, even retried")
    window_start: datetime = Field(sa_column=_time())
    window_end: datetime = Field(sa_column=_time())
    overall_status: str = Field(sa_column=Column(Text, nullable=False))
    overall_psi: float | None = None
    weighted_psi: float | None = Field(default=None, description="the mean PSI weighted by importance")
    features: dict[str, Any] = Field(sa_column=_json(), description="{name: {psi, status, critical_value, ...}}")
    prediction: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    inference_rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    computed_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class DriftReport(SQLModel, table=True):
    """Evidently's HTML for a drift result, zlib-compressed; only the newest few per deployment are kept."""

    __tablename__ = "drift_report"

    drift_result_id: uuid.UUID = Field(
        sa_column=Column(ForeignKey("drift_result.id", ondelete="CASCADE"), primary_key=True)
    )
    html_zlib: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Job(SQLModel, table=True):
    """Background work asked for over HTTP; its id is the Prefect flow run's."""

    __tablename__ = "job"

    id: uuid.UUID = Field(primary_key=True)
    kind: str = Field(sa_column=Column(Text, nullable=False))
    project_id: uuid.UUID = Field(sa_column=Column(ForeignKey("project.id", ondelete="CASCADE"), nullable=False))
    deployment_id: uuid.UUID | None = Field(
        default=None, sa_column=Column(ForeignKey("deployment.id", ondelete="CASCADE"))
    )
    status: str = Field(default="queued", sa_column=Column(Text, nullable=False), description="as last seen in Prefect")
    error: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    started_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    finished_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))


class AuditEvent(SQLModel, table=True):
    """Append-only: who changed what, from what, to what, when."""

    __tablename__ = "audit_event"
    __table_args__ = (Index("audit_event_by_project", "project_id", "created_at", "id"),)

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    project_id: uuid.UUID | None = Field(default=None, description="no foreign key: the log outlives the project")
    actor: str = Field(sa_column=Column(Text, nullable=False), description="API key id, or `system`")
    action: str = Field(sa_column=Column(Text, nullable=False), description="e.g. deployment.promoted")
    subject_type: str = Field(sa_column=Column(Text, nullable=False))
    subject_id: str = Field(sa_column=Column(Text, nullable=False))
    before: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    after: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class IdempotentAnswer(SQLModel, table=True):
    """The first answer given to an Idempotency-Key of a caller, replayed for 24 h."""

    __tablename__ = "idempotent_answer"

    api_key_id: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    request_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False), description="method, path and body")
    status_code: int | None = Field(default=None, sa_column=Column(SmallInteger), description="null while in progress")
    body: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
