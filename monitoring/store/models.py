"""Imported ML models: store, find, list and remove."""

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, exists
from sqlalchemy.orm import load_only
from sqlmodel import Session, col, func, or_, select

from monitoring.store.artifacts import delete_unused_artifact
from monitoring.store.errors import Conflict, NotFound
from monitoring.store.tables import Deployment, Model, ReferenceProfile

_LISTED = (
    Model.id,
    Model.project_id,
    Model.experiment_id,
    Model.name,
    Model.algo,
    Model.category,
    Model.target,
    Model.reference_rows,
    Model.metrics,
    Model.trained_at,
    Model.created_at,
)


@dataclass(frozen=True)
class ModelInUse:
    """A model and the stages it is actively deployed in."""

    model: Model
    is_production: bool
    is_staging: bool


@dataclass(frozen=True)
class ModelFilter:
    """Which models to list; None leaves a condition out."""

    project_id: uuid.UUID | None = None
    experiment_id: uuid.UUID | None = None
    search: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the filter as SQL conditions; `search` matches name or algorithm in any case."""
        where: list[ColumnElement[bool]] = []
        if self.project_id is not None:
            where.append(col(Model.project_id) == self.project_id)
        if self.experiment_id is not None:
            where.append(col(Model.experiment_id) == self.experiment_id)
        if self.search:
            name, algo = col(Model.name), col(Model.algo)
            where.append(
                or_(name.icontains(self.search, autoescape=True), algo.icontains(self.search, autoescape=True))
            )
        return where


def add_model(session: Session, model: Model, *, profile: dict[str, Any], sample: bytes) -> Model:
    """Store a model with the frozen profile of its reference and a sample of it (Parquet)."""
    session.add(model)
    session.flush()
    session.add(ReferenceProfile(model_id=model.id, profile=profile, sample=sample))
    session.flush()
    return model


def find_model(session: Session, model_id: uuid.UUID) -> Model:
    """Return a model. Raises NotFound."""
    model = session.get(Model, model_id)
    if model is None:
        raise NotFound("model", model_id)
    return model


def _deployed_in(stage: str) -> ColumnElement[bool]:
    return exists().where(
        col(Deployment.model_id) == col(Model.id),
        col(Deployment.stage) == stage,
        col(Deployment.status) == "active",
    )


def describe_model(session: Session, model_id: uuid.UUID) -> ModelInUse:
    """Return a model with the stages it serves in. Raises NotFound."""
    row = session.exec(
        select(Model, _deployed_in("production"), _deployed_in("staging")).where(Model.id == model_id)
    ).first()
    if row is None:
        raise NotFound("model", model_id)
    return ModelInUse(*row)


def list_models(session: Session, wanted: ModelFilter, *, limit: int, offset: int) -> tuple[list[ModelInUse], int]:
    """Return a page of models, newest first, and how many there are.

    Only the columns of a list are read: features, parameters and importances stay in the database.
    """
    where = wanted.conditions()
    total = session.exec(select(func.count()).select_from(Model).where(*where)).one()
    page = (
        select(Model, _deployed_in("production"), _deployed_in("staging"))
        .options(load_only(*_LISTED))  # type: ignore[arg-type]
        .where(*where)
        .order_by(col(Model.created_at).desc(), col(Model.id).desc())
        .limit(limit)
        .offset(offset)
    )
    return [ModelInUse(*row) for row in session.exec(page)], total


def delete_model(session: Session, model_id: uuid.UUID) -> Model:
    """Remove a model, its profile, and its file when no other model has the same content.

    Raises NotFound, or Conflict while any deployment, even an archived one, refers to it: history keeps its model, and
    a rollback may want it.
    """
    model = session.exec(select(Model).where(Model.id == model_id).with_for_update()).first()
    if model is None:
        raise NotFound("model", model_id)
    user = session.exec(
        select(Deployment)
        .where(Deployment.model_id == model_id)
        .order_by((col(Deployment.status) == "active").desc(), col(Deployment.created_at).desc())
        .limit(1)
    ).first()
    if user is not None:
        raise Conflict(
            f"Deployment {user.id} ({user.name!r}, {user.status}) refers to this model; a model that was ever "
            "deployed stays with its project"
        )
    session.execute(delete(Model).where(col(Model.id) == model_id))
    delete_unused_artifact(session, model.mojo_sha256)
    return model
