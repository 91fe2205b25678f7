"""Wire types of deployments."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from api.errors import FieldError, Invalid
from api.privacy.column_maps import unknown_types
from api.schemas.common import NO_NUL, JsonObject, Name
from monitoring.store.privacy_facts import is_masking
from monitoring.store.tables import Deployment, Model

Stage = Literal["staging", "production"]
Percent = Annotated[int, Meta(ge=1, le=100, description="share of traffic, 1-100 (100)")]
Threshold = Annotated[
    float, Meta(ge=0, le=1, description="least score that acts, 0.0-1.0, over the policy's; alone it masks nothing")
]
ShortText = Annotated[str, Meta(max_length=200, pattern=NO_NUL)]
ColumnMap = Annotated[
    dict[Annotated[str, Meta(max_length=1000, pattern=NO_NUL)], ShortText],
    Meta(max_length=10_000, description="which type of personal data a feature holds: {column: pii_type}"),
]
PolicyId = Annotated[uuid.UUID, Meta(description="an active privacy policy of the project")]
AnonymizeLogs = Annotated[bool, Meta(description="mask personal data in the inference log (true with any privacy)")]
AnonymizeResponse = Annotated[bool, Meta(description="mask what answers echo of the input (true with any privacy)")]
_MASKED = {"privacy_anonymize_logs": True, "privacy_anonymize_response": True}


class DeploymentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A deployment's options."""

    name: Name | None = None
    traffic_percent: Percent | None = None
    privacy_policy_id: PolicyId | None = None
    privacy_anonymize_logs: AnonymizeLogs | None = None
    privacy_anonymize_response: AnonymizeResponse | None = None
    privacy_column_map: ColumnMap | None = None
    privacy_threshold: Threshold | None = None

    def given(self) -> JsonObject:
        """Return the options that were given."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class DeploymentCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model to deploy. The options may come flat, nested under `config`, or both if they agree; a name is needed."""

    model_id: uuid.UUID
    stage: Stage
    name: Name | None = None
    traffic_percent: Percent | None = None
    privacy_policy_id: PolicyId | None = None
    privacy_anonymize_logs: AnonymizeLogs | None = None
    privacy_anonymize_response: AnonymizeResponse | None = None
    privacy_column_map: ColumnMap | None = None
    privacy_threshold: Threshold | None = None
    config: DeploymentConfig | None = None

    def options(self) -> JsonObject:
        """Return the options as the deployment keeps them.

        With privacy asked for in any way, logs and answers are masked unless it says otherwise. Raises Invalid: no
        name, flat and nested values that differ, or a type of personal data that is none.
        """
        nested = self.config.given() if self.config else {}
        flat = {
            name: value for name in DeploymentConfig.__struct_fields__ if (value := getattr(self, name)) is not None
        }
        wrong = [
            FieldError(name, f"differs from config.{name}: give it once, or the same twice")
            for name in flat
            if name in nested and nested[name] != flat[name]
        ]
        options = {"traffic_percent": 100} | nested | flat
        if "name" not in options:
            wrong.append(FieldError("name", "is required"))
        unknown = unknown_types(options.get("privacy_column_map", {}))
        if unknown is not None:
            wrong.append(FieldError("privacy_column_map", unknown))
        if wrong:
            raise Invalid(*wrong)
        if "privacy_policy_id" in options:
            options["privacy_policy_id"] = str(options["privacy_policy_id"])
        return {**_MASKED, **options} if is_masking(options) else options


class DeploymentMade(msgspec.Struct, frozen=True):
    """The answer to a create: `status` is `failed` when the model could not be loaded."""

    id: uuid.UUID
    deployment_id: uuid.UUID
    stage: str
    is_active: bool
    status: str
    status_reason: str | None

    @classmethod
    def of(cls, row: Deployment) -> "DeploymentMade":
        """Return the answer about a stored deployment."""
        return cls(row.id, row.id, row.stage, row.status == "active", row.status, row.status_reason)


class DeploymentView(msgspec.Struct, frozen=True):
    """A deployment."""

    id: uuid.UUID
    project_id: uuid.UUID
    model_id: uuid.UUID
    name: str
    stage: str
    status: str
    status_reason: str | None
    is_active: bool
    config: JsonObject
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Deployment) -> "DeploymentView":
        """Return the view of a stored deployment."""
        return cls(
            id=row.id,
            project_id=row.project_id,
            model_id=row.model_id,
            name=row.name,
            stage=row.stage,
            status=row.status,
            status_reason=row.status_reason,
            is_active=row.status == "active",
            config=row.config,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class DeploymentPage(msgspec.Struct, frozen=True):
    """A page of deployments."""

    items: list[DeploymentView]
    total: int
    limit: int
    offset: int


class DeployedModel(msgspec.Struct, frozen=True):
    """The model behind a deployment."""

    id: uuid.UUID
    name: str
    algo: str
    category: str
    target: str | None
    features: list[JsonObject]
    metrics: JsonObject
    trained_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: Model) -> "DeployedModel":
        """Return the view of a stored model."""
        return cls(
            id=row.id,
            name=row.name,
            algo=row.algo,
            category=row.category,
            target=row.target,
            features=row.features,
            metrics=row.metrics,
            trained_at=row.trained_at,
            created_at=row.created_at,
        )


class DeploymentDetail(msgspec.Struct, frozen=True):
    """A deployment with its model."""

    deployment: DeploymentView
    model: DeployedModel


class Promotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to promote to: `production`."""

    to_stage: Literal["production"]


class Rollback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What production goes back to: an archived deployment, or a model deployed anew. At least one is needed."""

    to_deployment_id: uuid.UUID | None = None
    to_model_id: uuid.UUID | None = None


class DeploymentChanged(msgspec.Struct, frozen=True):
    """The answer to a change: the deployment it was about, or (rollback) the one now in production."""

    ok: bool
    deployment_id: uuid.UUID
    stage: str

    @classmethod
    def of(cls, row: Deployment) -> "DeploymentChanged":
        """Return the answer about a stored deployment."""
        return cls(ok=True, deployment_id=row.id, stage=row.stage)
