"""Deployments: create, list, look at, promote, roll back, deactivate."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlmodel import Session

from api.auth import Principal, requires
from api.errors import FieldError, Invalid, answer_fact
from api.idempotency import Once
from api.lifecycle import By, Lifecycle, NewDeployment, RollbackTarget, Unacceptable
from api.schemas.common import Paging
from api.schemas.deployments import (
    DeployedModel,
    DeploymentChanged,
    DeploymentCreate,
    DeploymentDetail,
    DeploymentMade,
    DeploymentPage,
    DeploymentView,
    Promotion,
    Rollback,
)
from monitoring.store import deployments
from monitoring.store.database import Database
from monitoring.store.models import find_model
from monitoring.store.projects import find_project
from monitoring.store.tables import Deployment

_TAGS = ["deployments"]
StageFilter = Annotated[
    Literal["staging", "production", "archived"] | None, QueryParameter(description="Only deployments in this stage")
]
StatusFilter = Annotated[
    Literal["active", "inactive", "failed"] | None, QueryParameter(description="Only deployments of this status")
]


def answer_unacceptable(request: Request[Any, Any, Any], error: Unacceptable) -> Response[Any]:
    """Answer 422 for a field that asks for what cannot be had."""
    return answer_fact(request, Invalid(FieldError(error.field, error.message)))


def _by(principal: Principal) -> By:
    return By(actor=principal.key_id, now=datetime.now(UTC), only_project=principal.project_id)


def _lifecycle(state: State) -> Lifecycle:
    lifecycle: Lifecycle = state.serving.lifecycle
    return lifecycle


@post(
    "/api/mlops/projects/{project_id:uuid}/deployments",
    operation_id="CreateDeployment",
    summary="Deploy a model",
    tags=_TAGS,
    guards=[requires("write")],
    exception_handlers={Unacceptable: answer_unacceptable},
    sync_to_thread=True,
)
def create_deployment(
    project_id: FromPath[uuid.UUID],
    data: JSONBody[DeploymentCreate],
    principal: NamedDependency[Principal],
    once: NamedDependency[Once],
    state: State,
) -> DeploymentMade:
    """Deploy a model of the project to staging or production; in production it replaces the present deployment.

    A model that cannot be loaded answers 201 with `status: "failed"` and replaces nothing. A staging deployment with
    `traffic_percent` below 100 is a canary: it takes that share of the project's predictions.
    """
    principal.require_project(project_id)
    new = NewDeployment(project_id, data.model_id, data.stage, data.options())
    with once.claim(data) as claim:

        def keep(session: Session, made: Deployment) -> None:
            claim.keep(session, DeploymentMade.of(made))

        return DeploymentMade.of(_lifecycle(state).create(new, _by(principal), keep))


@get(
    "/api/mlops/projects/{project_id:uuid}/deployments",
    operation_id="ListDeployments",
    summary="List deployments",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def list_deployments(
    project_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
    stage: StageFilter = None,
    status: StatusFilter = None,
) -> DeploymentPage:
    """List a project's deployments, the archived and failed ones too."""
    principal.require_project(project_id)
    wanted = deployments.DeploymentFilter(project_id, stage, status)
    with database.transaction() as session:
        find_project(session, project_id)
        rows, total = deployments.list_deployments(session, wanted, limit=paging.limit, offset=paging.offset)
    return DeploymentPage([DeploymentView.of(row) for row in rows], total, paging.limit, paging.offset)


@get(
    "/api/mlops/deployments/{deployment_id:uuid}",
    operation_id="GetDeployment",
    summary="Get a deployment with its model",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_deployment(
    deployment_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> DeploymentDetail:
    """Return a deployment and its model."""
    with database.transaction() as session:
        deployment = deployments.find_deployment(session, deployment_id)
        principal.require_project(deployment.project_id, kind="deployment", identifier=deployment_id)
        model = find_model(session, deployment.model_id)
    return DeploymentDetail(DeploymentView.of(deployment), DeployedModel.of(model))


@post(
    "/api/mlops/deployments/{deployment_id:uuid}/promote",
    operation_id="PromoteDeployment",
    summary="Promote a deployment to production",
    tags=_TAGS,
    guards=[requires("write")],
    status_code=200,
    sync_to_thread=True,
)
def promote_deployment(
    deployment_id: FromPath[uuid.UUID],
    data: JSONBody[Promotion],
    principal: NamedDependency[Principal],
    state: State,
) -> DeploymentChanged:
    """Put a staging deployment in production and archive the present one. Harmless when it is there already."""
    assert data.to_stage == "production"  # noqa: S101 - the type admits nothing else
    return DeploymentChanged.of(_lifecycle(state).promote(deployment_id, _by(principal)))


@post(
    "/api/mlops/deployments/{deployment_id:uuid}/rollback",
    operation_id="RollBackDeployment",
    summary="Roll production back",
    tags=_TAGS,
    guards=[requires("write")],
    exception_handlers={Unacceptable: answer_unacceptable},
    status_code=200,
    sync_to_thread=True,
)
def roll_back_deployment(
    deployment_id: FromPath[uuid.UUID],
    data: JSONBody[Rollback],
    principal: NamedDependency[Principal],
    once: NamedDependency[Once],
    state: State,
) -> DeploymentChanged:
    """Put an archived deployment back in production, or deploy a model as its new version.

    The deployment in the path says which project; it need not be the one in production.
    """
    if data.to_deployment_id is None and data.to_model_id is None:
        raise Invalid(
            FieldError("to_deployment_id", "give to_deployment_id or to_model_id"),
            FieldError("to_model_id", "give to_deployment_id or to_model_id"),
        )
    target = RollbackTarget(data.to_deployment_id, data.to_model_id)
    with once.claim(data) as claim:

        def keep(session: Session, chosen: Deployment) -> None:
            claim.keep(session, DeploymentChanged.of(chosen), status_code=200)

        return DeploymentChanged.of(_lifecycle(state).rollback(deployment_id, target, _by(principal), keep))


@post(
    "/api/mlops/deployments/{deployment_id:uuid}/deactivate",
    operation_id="DeactivateDeployment",
    summary="Deactivate a deployment",
    tags=_TAGS,
    guards=[requires("write")],
    status_code=200,
    sync_to_thread=True,
)
def deactivate_deployment(
    deployment_id: FromPath[uuid.UUID], principal: NamedDependency[Principal], state: State
) -> DeploymentChanged:
    """Stop serving a deployment and archive it, without a replacement."""
    return DeploymentChanged.of(_lifecycle(state).deactivate(deployment_id, _by(principal)))
