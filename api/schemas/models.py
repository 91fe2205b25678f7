"""Wire types of imported models."""

import uuid
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from api.schemas.common import JsonObject
from api.schemas.predictions import Contribution, Prediction, UnseenWarning
from monitoring.store.models import ModelInUse
from monitoring.store.tables import Model


class ModelItem(msgspec.Struct, frozen=True):
    """A model as lists show it; `is_production` and `is_staging` say where it is actively deployed."""

    id: uuid.UUID
    project_id: uuid.UUID
    experiment_id: uuid.UUID | None
    name: str
    algo: str
    category: str
    target: str | None
    is_production: bool
    is_staging: bool
    metrics: JsonObject
    reference_rows: int
    trained_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, found: ModelInUse) -> "ModelItem":
        """Return the item of a stored model."""
        return cls(**_listed(found.model), is_production=found.is_production, is_staging=found.is_staging)


class FeatureView(msgspec.Struct, frozen=True):
    """An input of the model, in the model's order; `domain_size` counts a categorical one's labels."""

    name: str
    type: str
    domain_size: int | None


class ModelView(msgspec.Struct, frozen=True):
    """A model whole, but for its parameters and importances, which have routes of their own."""

    id: uuid.UUID
    project_id: uuid.UUID
    experiment_id: uuid.UUID | None
    name: str
    algo: str
    category: str
    target: str | None
    is_production: bool
    is_staging: bool
    metrics: JsonObject
    reference_rows: int
    trained_at: datetime | None
    created_at: datetime
    features: list[FeatureView]
    mojo_sha256: str

    @classmethod
    def of(cls, model: Model, *, is_production: bool = False, is_staging: bool = False) -> "ModelView":
        """Return the view of a stored model; a new one is deployed nowhere."""
        return cls(
            **_listed(model),
            is_production=is_production,
            is_staging=is_staging,
            features=[msgspec.convert(feature, FeatureView) for feature in model.features],
            mojo_sha256=model.mojo_sha256,
        )


def _listed(model: Model) -> JsonObject:
    return {
        "id": model.id,
        "project_id": model.project_id,
        "experiment_id": model.experiment_id,
        "name": model.name,
        "algo": model.algo,
        "category": model.category,
        "target": model.target,
        "metrics": model.metrics,
        "reference_rows": model.reference_rows,
        "trained_at": model.trained_at,
        "created_at": model.created_at,
    }


class ModelPage(msgspec.Struct, frozen=True):
    """A page of models."""

    items: list[ModelItem]
    total: int
    limit: int
    offset: int


class ModelImported(msgspec.Struct, frozen=True):
    """A model just imported, and its id beside it."""

    model: ModelView
    model_id: uuid.UUID


class Importance(msgspec.Struct, frozen=True):
    """How much a variable counts: as H2O measured it, relative to the largest, and as a share of 1."""

    feature: str
    relative: float
    scaled: float
    percentage: float


class Explanation(msgspec.Struct, frozen=True):
    """What the model goes by. An empty list: the algorithm reports no importances."""

    model_id: uuid.UUID
    algo: str
    variable_importances: list[Importance]


class Parameters(msgspec.Struct, frozen=True):
    """The settings the model was trained with."""

    model_id: uuid.UUID
    algo: str
    parameters: JsonObject


class ModelPredictAnswer(msgspec.Struct, frozen=True):
    """Predictions in the order of the inputs; nothing of them is logged."""

    predictions: list[Prediction]
    latency_ms: float
    model_id: uuid.UUID
    contributions: list[list[Contribution]] | UnsetType = UNSET
    warnings: list[UnseenWarning] | UnsetType = UNSET
