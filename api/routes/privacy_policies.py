"""Privacy policies: what is personal data in a project and what is done with it. Changes count at once."""

import uuid
from typing import Annotated

from litestar import delete, get, post, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from api.auth import Principal, requires
from api.idempotency import Once
from api.policy_change import PolicyChange
from api.privacy.rule_set import default_rule_set
from api.schemas.common import Paging
from api.schemas.privacy import (
    PolicyCreate,
    PolicyDetail,
    PolicyPage,
    PolicyUpdate,
    PolicyView,
    Profile,
    Status,
    VersionPage,
    VersionView,
)
from monitoring.store import audit, privacy_policies
from monitoring.store.clock import database_time
from monitoring.store.database import Database
from monitoring.store.pages import Page
from monitoring.store.privacy_facts import DEFAULT_VERSION_ID, find_rule_set
from monitoring.store.privacy_rules import read_rules
from monitoring.store.projects import hold_project

_TAGS = ["privacy"]
_NOT_MASKING = {"name", "description", "updated_at"}
ProfileFilter = Annotated[Profile | None, QueryParameter(description="Only policies of this profile")]
StatusFilter = Annotated[Status | None, QueryParameter(description="Only policies of this status")]


@post(
    "/api/privacy/policies",
    operation_id="CreatePrivacyPolicy",
    summary="Make a privacy policy",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def create_policy(
    data: JSONBody[PolicyCreate],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    once: NamedDependency[Once],
) -> PolicyView:
    """Make a policy out of a profile: hipaa, gdpr, pci_dss, ccpa, or custom, which begins without rules."""
    principal.require_project(data.project_id)
    with once.claim(data) as claim, database.transaction() as session:
        hold_project(session, data.project_id)
        row = privacy_policies.add_policy(session, data.project_id, data.facts(), now=database_time(session))
        change = PolicyChange(session, row, principal.key_id)
        change.renew()
        change.record("privacy_policy.created", None, audit.snapshot(row))
        answer = PolicyView.of(row)
        claim.keep(session, answer)
    return answer


@get(
    "/api/privacy/policies",
    operation_id="ListPrivacyPolicies",
    summary="List privacy policies",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def list_policies(
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
    project_id: FromQuery[uuid.UUID | None] = None,
    profile: ProfileFilter = None,
    status: StatusFilter = None,
) -> PolicyPage:
    """List the policies that the key may see, drafts too; `project_id` narrows to one project's."""
    wanted = project_id or principal.project_id
    if wanted is not None:
        principal.require_project(wanted)
    chosen = privacy_policies.PolicyFilter(wanted, profile, status)
    with database.transaction() as session:
        rows, total = privacy_policies.list_policies(session, chosen, Page(paging.limit, paging.offset))
    return PolicyPage([PolicyView.of(row) for row in rows], total, paging.limit, paging.offset)


@get(
    "/api/privacy/policies/{policy_id:uuid}",
    operation_id="GetPrivacyPolicy",
    summary="Get a privacy policy with its rules",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_policy(
    policy_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> PolicyDetail:
    """Return a policy, its own rules, all the rules in force, and the deployments that name it."""
    with database.transaction() as session:
        row = privacy_policies.find_policy(session, policy_id)
        principal.require_project(row.project_id, kind="privacy policy", identifier=policy_id)
        rules = read_rules(session, policy_id)
        version = privacy_policies.find_version(session, find_rule_set(session, policy_id).version_id)
        attached = [each.id for each in privacy_policies.attached_deployments(session, row)]
    return PolicyDetail.whole(row, rules, version, attached)


@put(
    "/api/privacy/policies/{policy_id:uuid}",
    operation_id="UpdatePrivacyPolicy",
    summary="Change a privacy policy",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def update_policy(
    policy_id: FromPath[uuid.UUID],
    data: JSONBody[PolicyUpdate],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    state: State,
) -> PolicyView:
    """Change what is given of a policy; 409 when it would be a draft again while deployments name it.

    Its own rules stay over those of another profile. Deployments that name it mask by the new version from now on.
    """
    with database.transaction() as session:
        change = PolicyChange.begin(session, policy_id, principal)
        row, before = change.policy, audit.snapshot(change.policy)
        privacy_policies.change_policy(session, row, data.over(row), now=change.now)
        after = audit.snapshot(row)
        if any(before[name] != after[name] for name in before.keys() - _NOT_MASKING):
            change.renew()
        change.record("privacy_policy.updated", before, audit.snapshot(row))
        answer = PolicyView.of(row)
    state.serving.registry.apply(row.project_id, change.touched)
    return answer


@delete(
    "/api/privacy/policies/{policy_id:uuid}",
    operation_id="DeletePrivacyPolicy",
    summary="Remove a privacy policy",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def delete_policy(
    policy_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> None:
    """Remove a policy with its rules; 409 while a deployment names it. Its versions stay: log rows name them."""
    with database.transaction() as session:
        change = PolicyChange.begin(session, policy_id, principal)
        before = audit.snapshot(change.policy)
        privacy_policies.remove_policy(session, change.policy)
        change.record("privacy_policy.deleted", before, None)


@get(
    "/api/privacy/policies/{policy_id:uuid}/versions",
    operation_id="ListPrivacyPolicyVersions",
    summary="List the versions of a privacy policy",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def list_versions(
    policy_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
) -> VersionPage:
    """List the rule sets that the policy has had, the one in force first."""
    with database.transaction() as session:
        row = privacy_policies.find_policy(session, policy_id)
        principal.require_project(row.project_id, kind="privacy policy", identifier=policy_id)
        rows, total = privacy_policies.list_versions(session, policy_id, Page(paging.limit, paging.offset))
    return VersionPage([VersionView.of(each) for each in rows], total, paging.limit, paging.offset)


@get(
    "/api/privacy/versions/{privacy_version_id:uuid}",
    operation_id="GetPrivacyVersion",
    summary="Get the rule set that masked a log row",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_version(
    privacy_version_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
) -> VersionView:
    """Return a rule set by the id that log rows give it, though its policy be gone."""
    if privacy_version_id == DEFAULT_VERSION_ID:
        return VersionView.of_defaults(DEFAULT_VERSION_ID, default_rule_set())
    with database.transaction() as session:
        row = privacy_policies.find_version(session, privacy_version_id)
    principal.require_project(row.project_id, kind="privacy version", identifier=privacy_version_id)
    return VersionView.of(row)
