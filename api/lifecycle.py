"""What may become of a deployment: create, promote, roll back, deactivate. One transaction a change.

Every change locks the project first, so the changes of a project come one after the other. A model is loaded before the
swap that puts it in production, outside the transaction: a model that does not load leaves production as it was.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from api.peers import Peers
from api.privacy.column_maps import unknown_columns
from api.scoring.registry import Registry
from api.scoring.shelf import ModelUnloadable
from api.swap import Swap
from monitoring.store.database import Database
from monitoring.store.deployments import find_deployment, read_active_facts
from monitoring.store.errors import Conflict, NotFound
from monitoring.store.models import find_model
from monitoring.store.privacy_facts import named_policy
from monitoring.store.privacy_policies import attachment_error
from monitoring.store.projects import find_project
from monitoring.store.tables import Deployment, Model

Keep = Callable[[Session, Deployment], None]


class Unacceptable(ValueError):
    """A field of the request asks for what cannot be had."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True)
class By:
    """Who makes a change and when; `only_project` is the one project the caller may see, if bound to one."""

    actor: str
    now: datetime
    only_project: uuid.UUID | None = None

    def see(self, kind: str, identifier: uuid.UUID, project_id: uuid.UUID) -> None:
        """Raise NotFound when the thing is in a project that the caller may not see."""
        if self.only_project is not None and self.only_project != project_id:
            raise NotFound(kind, identifier)


@dataclass(frozen=True)
class NewDeployment:
    """What to deploy where; `config` holds name, traffic_percent and the other options."""

    project_id: uuid.UUID
    model_id: uuid.UUID
    stage: str
    config: dict[str, Any]


@dataclass(frozen=True)
class RollbackTarget:
    """What production goes back to: an archived deployment, or a model."""

    deployment_id: uuid.UUID | None = None
    model_id: uuid.UUID | None = None


class Lifecycle:
    """Makes changes in the database and in what every worker serves.

    Each raises Unavailable when the change is made but the database went away before the other workers confirmed it.
    """

    def __init__(self, database: Database, registry: Registry, peers: Peers) -> None:
        self._database = database
        self._registry = registry
        self._peers = peers

    def create(self, new: NewDeployment, by: By, keep: Keep) -> Deployment:
        """Deploy a model, in production by a swap; `keep` runs in the transaction of the change.

        A model that does not load makes a `failed` deployment that replaces nothing. Raises NotFound, Unacceptable, or
        Conflict when its privacy policy is a draft.
        """
        with self._database.transaction() as session:
            find_project(session, new.project_id)
            model = _model_of_project(session, new.model_id, new.project_id, by)
            _check_privacy(session, new, model)
        loaded, failure = self._try_to_load(model)
        with self._database.transaction() as session:
            swap = Swap(session, new.project_id, by.actor, by.now)
            _check_privacy(session, new, model)
            if new.stage == "staging" and failure is None:
                _check_canary_share(session, new)
            deployment = Deployment(
                project_id=new.project_id,
                model_id=new.model_id,
                name=new.config["name"],
                stage=new.stage,
                status="active" if failure is None else "failed",
                status_reason=failure,
                config=new.config,
                created_at=by.now,
                updated_at=by.now,
            )
            swap.add(deployment, "deployment.created")
            keep(session, deployment)
            swap.close()
        return self._done(swap, deployment, loaded)

    def promote(self, deployment_id: uuid.UUID, by: By) -> Deployment:
        """Put a staging deployment in production; the one that is there already stays there.

        Raises NotFound, or Conflict when it does not serve or its model does not load.
        """
        with self._database.transaction() as session:
            deployment = _visible(session, deployment_id, by)
            _check_promotable(deployment)
            model = find_model(session, deployment.model_id)
        loaded = self._load_or_refuse(model)
        with self._database.transaction() as session:
            swap = Swap(session, deployment.project_id, by.actor, by.now)
            deployment = swap.reread(deployment_id)
            _check_promotable(deployment)
            if deployment.stage != "production":
                swap.put_in_production(deployment, "deployment.promoted")
            swap.close()
        return self._done(swap, deployment, loaded)

    def rollback(self, deployment_id: uuid.UUID, target: RollbackTarget, by: By, keep: Keep) -> Deployment:
        """Put an archived deployment, or a model as a new deployment, in production of the deployment's project.

        Returns the deployment that is in production now. Raises NotFound, Unacceptable, or Conflict when the target is
        not archived or its model does not load: then production stays as it was.
        """
        with self._database.transaction() as session:
            present = _visible(session, deployment_id, by)
            archived = _archived_target(session, target, present.project_id, by)
            model_id = archived.model_id if archived else target.model_id
            assert model_id is not None  # noqa: S101 - the caller gave one of the two
            model = _model_of_project(session, model_id, present.project_id, by, field="to_model_id")
        loaded = self._load_or_refuse(model)
        with self._database.transaction() as session:
            swap = Swap(session, present.project_id, by.actor, by.now)
            if archived is None:
                chosen = _deployment_of_model(model, present, by.now)
                swap.add(chosen, "deployment.rolled_back")
            else:
                chosen = swap.reread(archived.id)
                _check_archived(chosen)
                if chosen.status != "active":
                    swap.put_in_production(chosen, "deployment.rolled_back")
            keep(session, chosen)
            swap.close()
        return self._done(swap, chosen, loaded)

    def deactivate(self, deployment_id: uuid.UUID, by: By) -> Deployment:
        """Stop serving a deployment, whatever its stage, and archive it.

        Raises NotFound, or Conflict when it does not serve.
        """
        with self._database.transaction() as session:
            project_id = _visible(session, deployment_id, by).project_id
            swap = Swap(session, project_id, by.actor, by.now)
            deployment = swap.reread(deployment_id)
            if deployment.status != "active":
                raise Conflict(
                    f"Deployment {deployment_id} is {deployment.status} already: there is nothing to deactivate"
                )
            swap.archive(deployment, "deployment.deactivated", "deactivated")
            swap.close()
        return self._done(swap, deployment, None)

    def _try_to_load(self, model: Model) -> tuple[object, str | None]:
        try:
            return self._registry.shelf.get(model.mojo_sha256), None
        except ModelUnloadable as error:
            return None, error.reason

    def _load_or_refuse(self, model: Model) -> object:
        loaded, failure = self._try_to_load(model)
        if failure is not None:
            raise Conflict(f"Model {model.id} does not load, so production stays as it is: {failure}")
        return loaded

    def _done(self, swap: Swap, deployment: Deployment, loaded: object) -> Deployment:
        """Serve by the new state, here and everywhere; `loaded` is held until the registry holds it."""
        self._registry.apply(swap.project_id, swap.touched)
        del loaded
        self._peers.await_change(swap.change_id)
        return deployment


def _visible(session: Session, deployment_id: uuid.UUID, by: By) -> Deployment:
    deployment = find_deployment(session, deployment_id)
    by.see("deployment", deployment_id, deployment.project_id)
    return deployment


def _model_of_project(
    session: Session, model_id: uuid.UUID, project_id: uuid.UUID, by: By, *, field: str = "model_id"
) -> Model:
    model = find_model(session, model_id)
    by.see("model", model_id, model.project_id)
    if model.project_id != project_id:
        raise Unacceptable(field, "belongs to another project")
    return model


def _check_promotable(deployment: Deployment) -> None:
    if deployment.status == "failed":
        raise Conflict(f"Deployment {deployment.id} failed to load its model: {deployment.status_reason}")
    if deployment.status != "active":
        raise Conflict(
            f"Deployment {deployment.id} is inactive (archived); bring it back with a rollback to_deployment_id"
        )


def _check_archived(deployment: Deployment) -> None:
    """Let pass what is archived, and what is in production already (a repeated call)."""
    if deployment.status == "failed":
        raise Conflict(f"Deployment {deployment.id} failed to load its model: {deployment.status_reason}")
    if deployment.stage == "staging":
        raise Conflict(f"Deployment {deployment.id} is in staging, not archived: promote it instead")


def _archived_target(session: Session, target: RollbackTarget, project_id: uuid.UUID, by: By) -> Deployment | None:
    if target.deployment_id is None:
        return None
    deployment = _visible(session, target.deployment_id, by)
    if deployment.project_id != project_id:
        raise Unacceptable("to_deployment_id", "belongs to another project")
    if target.model_id not in {None, deployment.model_id}:
        raise Unacceptable("to_model_id", "is not the model of to_deployment_id: give one of the two")
    _check_archived(deployment)
    return deployment


def _deployment_of_model(model: Model, present: Deployment, now: datetime) -> Deployment:
    """Return a new production deployment of a model, named and configured as the one it follows."""
    return Deployment(
        project_id=present.project_id,
        model_id=model.id,
        name=present.name,
        stage="production",
        status="active",
        config=present.config | {"traffic_percent": 100},
        created_at=now,
        updated_at=now,
    )


def _check_privacy(session: Session, new: NewDeployment, model: Model) -> None:
    """Refuse a policy that is not the project's, and columns that the model has not."""
    policy_id = named_policy(new.config)
    wrong = None if policy_id is None else attachment_error(session, new.project_id, policy_id)
    if wrong is not None:
        raise Unacceptable("privacy_policy_id", wrong)
    unknown = unknown_columns(
        new.config.get("privacy_column_map") or {}, (feature["name"] for feature in model.features)
    )
    if unknown is not None:
        raise Unacceptable("privacy_column_map", unknown)


def _check_canary_share(session: Session, new: NewDeployment) -> None:
    share = new.config["traffic_percent"]
    if share == 100:
        return
    taken = sum(
        facts.traffic_percent
        for facts in read_active_facts(session, new.project_id)
        if facts.stage == "staging" and facts.traffic_percent < 100
    )
    if taken + share >= 100:
        raise Unacceptable(
            "traffic_percent", f"the project's canaries take {taken} % already; all together must stay under 100"
        )
