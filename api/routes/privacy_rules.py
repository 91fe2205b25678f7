"""The rules of a privacy policy, each over what the policy's profile says of one type. Changes count at once."""

import uuid

from litestar import delete, get, post, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlmodel import Session

from api.auth import Principal, requires
from api.idempotency import Once
from api.policy_change import PolicyChange
from api.schemas.common import Paging
from api.schemas.privacy import RuleCreate, RulePage, RuleView
from monitoring.store import audit, privacy_rules
from monitoring.store.database import Database
from monitoring.store.pages import Page
from monitoring.store.privacy_policies import find_policy

_TAGS = ["privacy"]


def _serve_by(state: State, change: PolicyChange) -> None:
    """Have this process mask by the change before the answer goes out; the others hear of it."""
    state.serving.registry.apply(change.policy.project_id, change.touched)


@post(
    "/api/privacy/policies/{policy_id:uuid}/rules",
    operation_id="CreatePrivacyRule",
    summary="Add a rule to a privacy policy",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def create_rule(
    policy_id: FromPath[uuid.UUID],
    data: JSONBody[RuleCreate],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    once: NamedDependency[Once],
    state: State,
) -> RuleView:
    """Say what the policy does with one type of personal data; 409 when it has a rule for that type."""
    with once.claim(data) as claim, database.transaction() as session:
        change = PolicyChange.begin(session, policy_id, principal)
        row = privacy_rules.add_rule(session, change.policy, change.checked(data), now=change.now)
        change.renew()
        change.record("privacy_rule.created", None, audit.snapshot(row))
        answer = RuleView.of(row)
        claim.keep(session, answer)
    _serve_by(state, change)
    return answer


@get(
    "/api/privacy/policies/{policy_id:uuid}/rules",
    operation_id="ListPrivacyRules",
    summary="List the rules of a privacy policy",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def list_rules(
    policy_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
) -> RulePage:
    """List the policy's own rules, disabled ones too; what its profile adds shows the policy itself."""
    with database.transaction() as session:
        _require(session, policy_id, principal)
        rows, total = privacy_rules.list_rules(session, policy_id, Page(paging.limit, paging.offset))
    return RulePage([RuleView.of(row) for row in rows], total, paging.limit, paging.offset)


@get(
    "/api/privacy/policies/{policy_id:uuid}/rules/{privacy_rule_id:uuid}",
    operation_id="GetPrivacyRule",
    summary="Get a rule of a privacy policy",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def get_rule(
    policy_id: FromPath[uuid.UUID],
    privacy_rule_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
) -> RuleView:
    """Return one rule."""
    with database.transaction() as session:
        _require(session, policy_id, principal)
        return RuleView.of(privacy_rules.find_rule(session, policy_id, privacy_rule_id))


@put(
    "/api/privacy/policies/{policy_id:uuid}/rules/{privacy_rule_id:uuid}",
    operation_id="ReplacePrivacyRule",
    summary="Replace a rule of a privacy policy",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def replace_rule(
    policy_id: FromPath[uuid.UUID],
    privacy_rule_id: FromPath[uuid.UUID],
    data: JSONBody[RuleCreate],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    state: State,
) -> RuleView:
    """Say anew all of a rule: what is left out takes its default."""
    with database.transaction() as session:
        change = PolicyChange.begin(session, policy_id, principal)
        row = privacy_rules.find_rule(session, policy_id, privacy_rule_id)
        before = audit.snapshot(row)
        privacy_rules.change_rule(session, change.policy, row, change.checked(data), now=change.now)
        change.renew()
        change.record("privacy_rule.updated", before, audit.snapshot(row))
        answer = RuleView.of(row)
    _serve_by(state, change)
    return answer


@delete(
    "/api/privacy/policies/{policy_id:uuid}/rules/{privacy_rule_id:uuid}",
    operation_id="DeletePrivacyRule",
    summary="Remove a rule from a privacy policy",
    tags=_TAGS,
    guards=[requires("write")],
    sync_to_thread=True,
)
def delete_rule(
    policy_id: FromPath[uuid.UUID],
    privacy_rule_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    state: State,
) -> None:
    """Remove a rule: what the profile says of its type holds again."""
    with database.transaction() as session:
        change = PolicyChange.begin(session, policy_id, principal)
        row = privacy_rules.find_rule(session, policy_id, privacy_rule_id)
        before = audit.snapshot(row)
        privacy_rules.remove_rule(session, row)
        change.renew()
        change.record("privacy_rule.deleted", before, None)
    _serve_by(state, change)


def _require(session: Session, policy_id: uuid.UUID, principal: Principal) -> None:
    policy = find_policy(session, policy_id)
    principal.require_project(policy.project_id, kind="privacy policy", identifier=policy_id)
