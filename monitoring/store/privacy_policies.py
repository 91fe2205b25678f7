"""Privacy policies: add, find, list, change and remove; what a rule may say is the caller's to check.

Who changes a policy holds its project first (`hold_project`), then the policy (`lock_policy`), as removals do.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from monitoring.store.errors import Conflict, NotFound
from monitoring.store.pages import Page, read_page
from monitoring.store.privacy_tables import PrivacyPolicy, PrivacyVersion
from monitoring.store.tables import Deployment


@dataclass(frozen=True)
class PolicyFacts:
    """What a caller says of a policy."""

    name: str
    description: str
    profile: str
    status: str
    confidence_threshold: float


@dataclass(frozen=True)
class PolicyFilter:
    """Which policies to list; None leaves a condition out."""

    project_id: uuid.UUID | None = None
    profile: str | None = None
    status: str | None = None


def add_policy(session: Session, project_id: uuid.UUID, facts: PolicyFacts, *, now: datetime) -> PrivacyPolicy:
    """Store a new policy, yet without a version. Raises Conflict when the project has one of this name."""
    _refuse_taken_name(session, project_id, facts.name)
    row = PrivacyPolicy(project_id=project_id, version=0, created_at=now, updated_at=now, **vars(facts))
    session.add(row)
    session.flush()
    return row


def find_policy(session: Session, policy_id: uuid.UUID) -> PrivacyPolicy:
    """Return a policy. Raises NotFound."""
    row = session.get(PrivacyPolicy, policy_id)
    if row is None:
        raise NotFound("privacy policy", policy_id)
    return row


def lock_policy(session: Session, policy_id: uuid.UUID) -> PrivacyPolicy:
    """Return a policy that nothing changes or removes until the transaction ends. Raises NotFound."""
    row = session.exec(
        select(PrivacyPolicy)
        .where(PrivacyPolicy.id == policy_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if row is None:
        raise NotFound("privacy policy", policy_id)
    return row


def list_policies(session: Session, wanted: PolicyFilter, page: Page) -> tuple[list[PrivacyPolicy], int]:
    """Return a page of policies, newest first, and how many there are."""
    conditions = {name: value for name, value in vars(wanted).items() if value is not None}
    where = [getattr(PrivacyPolicy, name) == value for name, value in conditions.items()]
    order = (col(PrivacyPolicy.created_at).desc(), col(PrivacyPolicy.id).desc())
    return read_page(session, PrivacyPolicy, where, order, page)


def change_policy(session: Session, row: PrivacyPolicy, facts: PolicyFacts, *, now: datetime) -> None:
    """Store what is now said of a locked policy.

    Raises Conflict when the name is another's, or when it would be a draft again while deployments name it.
    """
    if facts.name != row.name:
        _refuse_taken_name(session, row.project_id, facts.name)
    if facts.status == "draft" and row.status != "draft":
        _refuse_attached(session, row, "be a draft again")
    for name, value in vars(facts).items():
        setattr(row, name, value)
    row.updated_at = now
    session.add(row)
    session.flush()


def remove_policy(session: Session, row: PrivacyPolicy) -> None:
    """Remove a locked policy and its rules; its versions stay, for log rows name them.

    Raises Conflict while a deployment names it, serving or not: an archived one can come back.
    """
    _refuse_attached(session, row, "be removed")
    session.delete(row)
    session.flush()


def add_version(
    session: Session, row: PrivacyPolicy, rule_set: Mapping[str, Any], *, by: str, now: datetime
) -> PrivacyVersion:
    """Store the rule set of a locked policy as it stands from now on, under the next number."""
    row.version += 1
    row.updated_at = now
    version = PrivacyVersion(
        policy_id=row.id,
        project_id=row.project_id,
        number=row.version,
        rule_set=dict(rule_set),
        created_by=by,
        created_at=now,
    )
    session.add_all([row, version])
    session.flush()
    return version


def find_version(session: Session, version_id: uuid.UUID) -> PrivacyVersion:
    """Return a version, be its policy there still or not. Raises NotFound."""
    version = session.get(PrivacyVersion, version_id)
    if version is None:
        raise NotFound("privacy version", version_id)
    return version


def list_versions(session: Session, policy_id: uuid.UUID, page: Page) -> tuple[list[PrivacyVersion], int]:
    """Return a page of a policy's versions, newest first, and how many there are."""
    return read_page(
        session,
        PrivacyVersion,
        [col(PrivacyVersion.policy_id) == policy_id],
        (col(PrivacyVersion.number).desc(),),
        page,
    )


def attached_deployments(session: Session, policy: PrivacyPolicy) -> list[Deployment]:
    """Return the deployments that name a policy, serving or not, oldest first."""
    named = col(Deployment.config)["privacy_policy_id"].astext == str(policy.id)
    rows = select(Deployment).where(Deployment.project_id == policy.project_id, named)
    return list(session.exec(rows.order_by(col(Deployment.created_at), col(Deployment.id))))


def attachment_error(session: Session, project_id: uuid.UUID, policy_id: uuid.UUID) -> str | None:
    """Say why a deployment of a project cannot name this policy, or return None when it can.

    Raises Conflict while the policy is a draft. Under the project's lock this stays so until the transaction ends.
    """
    policy = session.exec(
        select(PrivacyPolicy).where(PrivacyPolicy.id == policy_id).execution_options(populate_existing=True)
    ).first()
    if policy is None or policy.project_id != project_id:
        return f"no such privacy policy in this project: {policy_id}"
    if policy.status != "active":
        raise Conflict(f"Privacy policy {policy.name!r} is a draft: make it active before a deployment uses it")
    return None


def _refuse_attached(session: Session, row: PrivacyPolicy, deed: str) -> None:
    attached = attached_deployments(session, row)
    if attached:
        names = ", ".join(f"{each.name!r} ({each.id}, {each.stage})" for each in attached[:3])
        raise Conflict(
            f"Privacy policy {row.name!r} cannot {deed} while deployments name it ({len(attached)}): {names}"
        )


def _refuse_taken_name(session: Session, project_id: uuid.UUID, name: str) -> None:
    taken = session.exec(
        select(PrivacyPolicy.id).where(PrivacyPolicy.project_id == project_id, PrivacyPolicy.name == name)
    ).first()
    if taken is not None:
        raise Conflict(f"This project has a privacy policy named {name!r} already ({taken})")
