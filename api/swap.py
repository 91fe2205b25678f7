"""One change of a project's deployments inside its transaction: locked, audited, announced."""

import uuid
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session, select

from monitoring.store import audit
from monitoring.store.changes import announce
from monitoring.store.deployments import find_production, reread_deployment
from monitoring.store.errors import NotFound
from monitoring.store.ids import new_id
from monitoring.store.projects import lock_project
from monitoring.store.tables import Deployment, Model

_LOCK_PATIENCE = "10s"
_AUDITED = ("id", "model_id", "name", "stage", "status", "status_reason", "config")


class Swap:
    """Holds the project's lock from its making to the end of the transaction. Raises NotFound for no such project."""

    def __init__(self, session: Session, project_id: uuid.UUID, actor: str, now: datetime) -> None:
        self._session = session
        self._actor = actor
        self._now = now
        self.project_id = project_id
        self.change_id = new_id()
        self.touched: list[uuid.UUID] = []
        session.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_PATIENCE}'"))
        lock_project(session, project_id)
        announce(session, "project", project_id)

    def reread(self, deployment_id: uuid.UUID) -> Deployment:
        """Return a deployment of the project as it is under the lock. Raises NotFound."""
        return reread_deployment(self._session, deployment_id)

    def add(self, deployment: Deployment, action: str) -> None:
        """Store a new deployment; one that serves in production supersedes the present one. Raises NotFound."""
        self._keep_model(deployment.model_id)
        if deployment.stage == "production" and deployment.status == "active":
            self._supersede(deployment)
        self._session.add(deployment)
        self._record(deployment, action, before=None)

    def put_in_production(self, deployment: Deployment, action: str) -> None:
        """Make a deployment the project's production; the present one is archived."""
        before = audit.snapshot(deployment, *_AUDITED)
        self._supersede(deployment)
        deployment.stage, deployment.status, deployment.status_reason = "production", "active", None
        deployment.updated_at = self._now
        self._record(deployment, action, before)

    def archive(self, deployment: Deployment, action: str, reason: str) -> None:
        """Stop a deployment."""
        before = audit.snapshot(deployment, *_AUDITED)
        deployment.stage, deployment.status, deployment.status_reason = "archived", "inactive", reason
        deployment.updated_at = self._now
        self._record(deployment, action, before)

    def close(self) -> None:
        """Ask every worker to say when it serves by all this; last of all in the transaction."""
        announce(self._session, "change", self.change_id)

    def _supersede(self, successor: Deployment) -> None:
        present = find_production(self._session, self.project_id)
        if present is not None:
            self.archive(present, "deployment.superseded", f"superseded by deployment {successor.id}")

    def _keep_model(self, model_id: uuid.UUID) -> None:
        """Keep a model from being removed meanwhile."""
        held = select(Model.id).where(Model.id == model_id).with_for_update(read=True, key_share=True)
        if self._session.exec(held).first() is None:
            raise NotFound("model", model_id)

    def _record(self, deployment: Deployment, action: str, before: dict[str, object] | None) -> None:
        self._session.flush()
        after = audit.snapshot(deployment, *_AUDITED)
        audit.record(self._session, actor=self._actor, action=action, subject=deployment, before=before, after=after)
        announce(self._session, "deployment", deployment.id)
        self.touched.append(deployment.id)
