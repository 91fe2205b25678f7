"""Models: list, look at, remove."""

import uuid

from litestar import delete, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from sqlmodel import Session

from api.auth import Principal, requires
from api.schemas.common import Paging, Search
from api.schemas.models import Explanation, Importance, ModelItem, ModelPage, ModelView, Parameters
from monitoring.store import audit, models
from monitoring.store.database import Database
from monitoring.store.tables import Model

_TAGS = ["models"]


@get(
    "/api/models",
    operation_id="ListModels",
    summary="List models",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def list_models(
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
    project_id: FromQuery[uuid.UUID | None] = None,
    experiment_id: FromQuery[uuid.UUID | None] = None,
    search: Search = None,
) -> ModelPage:
    """List the models the key may see, of one project or all; `search` looks in names and algorithms."""
    wanted = project_id or principal.project_id
    if wanted is not None:
        principal.require_project(wanted)
    only = models.ModelFilter(project_id=wanted, experiment_id=experiment_id, search=search)
    with database.transaction() as session:
        found, total = models.list_models(session, only, limit=paging.limit, offset=paging.offset)
    return ModelPage([ModelItem.of(item) for item in found], total, paging.limit, paging.offset)


@get(
    "/api/models/{model_id:uuid}",
    operation_id="GetModel",
    summary="Get a model",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_model(
    model_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> ModelView:
    """Return one model with its features."""
    with database.transaction() as session:
        found = models.describe_model(session, model_id)
    principal.require_project(found.model.project_id, kind="model", identifier=model_id)
    return ModelView.of(found.model, is_production=found.is_production, is_staging=found.is_staging)


@get(
    "/api/models/{model_id:uuid}/explain",
    operation_id="ExplainModel",
    summary="Get a model's variable importances",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def explain_model(
    model_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> Explanation:
    """Return the variable importances that H2O wrote into the MOJO, largest first."""
    with database.transaction() as session:
        model = find_visible_model(session, principal, model_id)
    listed = [Importance(**item) for item in model.variable_importances or []]
    return Explanation(model.id, model.algo, sorted(listed, key=lambda item: -item.percentage))


@get(
    "/api/models/{model_id:uuid}/parameters",
    operation_id="GetModelParameters",
    summary="Get a model's training parameters",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_model_parameters(
    model_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> Parameters:
    """Return the parameters that H2O wrote into the MOJO."""
    with database.transaction() as session:
        model = find_visible_model(session, principal, model_id)
    return Parameters(model.id, model.algo, model.parameters)


@delete(
    "/api/models/{model_id:uuid}",
    operation_id="DeleteModel",
    summary="Remove a model",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def delete_model(
    model_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> None:
    """Remove a model with its file and profile. 409 while any deployment, even an archived one, refers to it."""
    with database.transaction() as session:
        find_visible_model(session, principal, model_id)
        model = models.delete_model(session, model_id)
        audit.record(
            session,
            actor=principal.key_id,
            action="model.deleted",
            subject=model,
            before=audit.snapshot(model, *AUDITED),
        )


AUDITED = ("name", "algo", "category", "target", "mojo_sha256", "reference_rows")


def find_visible_model(session: Session, principal: Principal, model_id: uuid.UUID) -> Model:
    """Return a model that the caller may see. Raises NotFound."""
    model = models.find_model(session, model_id)
    principal.require_project(model.project_id, kind="model", identifier=model_id)
    return model
