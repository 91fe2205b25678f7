"""Which generation of a project's privacy key is in use."""

import uuid
from datetime import datetime

from sqlmodel import Session, col, select

from monitoring.store import audit
from monitoring.store.changes import announce
from monitoring.store.privacy_facts import FIRST_GENERATION
from monitoring.store.privacy_tables import PrivacyKey
from monitoring.store.projects import lock_project
from monitoring.store.tables import Deployment


def rotate_key(session: Session, project_id: uuid.UUID, *, actor: str, now: datetime) -> int:
    """Take the next generation of a project's key into use, audited and announced; return its number.

    What was hashed or pseudonymized before keeps its tokens; the same value gets another one from now on. Raises
    NotFound.
    """
    project = lock_project(session, project_id)
    row = session.get(PrivacyKey, project_id) or PrivacyKey(project_id=project_id, generation=FIRST_GENERATION)
    before = row.generation
    row.generation, row.rotated_at = before + 1, now
    session.add(row)
    session.flush()
    audit.record(
        session,
        actor=actor,
        action="privacy_key.rotated",
        subject=project,
        before={"generation": before},
        after={"generation": row.generation},
    )
    for deployment_id in session.exec(select(Deployment.id).where(col(Deployment.project_id) == project_id)):
        announce(session, "deployment", deployment_id)
    return row.generation
