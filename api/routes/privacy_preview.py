"""Trying a privacy policy on records, and the types of personal data there are."""

import logging
import uuid

from litestar import get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.auth import Principal, requires
from api.errors import FieldError, Invalid, Unavailable
from api.privacy.catalogue import CATALOGUE
from api.privacy.column_maps import unknown_types
from api.privacy.keys import PrivacyKeyUnusable, project_key
from api.privacy.masker import Masker
from api.privacy.rule_set import RuleSet
from api.schemas.privacy import PiiTypePage, PiiTypeView, Preview, PreviewRequest, RecordPreview
from api.settings import Settings
from monitoring.store.database import Database
from monitoring.store.privacy_facts import find_rule_set, read_key_generations
from monitoring.store.privacy_policies import find_policy

logger = logging.getLogger(__name__)

_TAGS = ["privacy"]


def _key(settings: Settings, project_id: uuid.UUID, generation: int) -> bytes:
    try:
        return project_key(settings, project_id, generation)
    except PrivacyKeyUnusable as error:
        logger.warning("cannot mask: %s", error)
        raise Unavailable("The privacy key cannot be read just now: the server's log says why") from error


@post(
    "/api/privacy/policies/{policy_id:uuid}/preview",
    operation_id="PreviewPrivacyPolicy",
    summary="See what a privacy policy makes of records",
    tags=_TAGS,
    guards=[requires("write")],
    status_code=200,
    sync_to_thread=True,
)
def preview_policy(
    policy_id: FromPath[uuid.UUID],
    data: JSONBody[PreviewRequest],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    state: State,
) -> Preview:
    """Show how records would be stored under the policy as it stands, draft or not. Nothing is stored or logged."""
    wrong = unknown_types(data.column_map)
    if wrong is not None:
        raise Invalid(FieldError("column_map", wrong))
    with database.transaction() as session:
        policy = find_policy(session, policy_id)
        principal.require_project(policy.project_id, kind="privacy policy", identifier=policy_id)
        stands = find_rule_set(session, policy_id)
        generation = read_key_generations(session, [policy.project_id])[policy.project_id]
    masker = Masker(
        RuleSet.from_json(stands.rule_set),
        column_map=data.column_map,
        threshold=data.threshold,
        key=_key(state.settings, policy.project_id, generation),
        version_id=stands.version_id,
    )
    records = [RecordPreview.of(masker.mask_record(record)) for record in data.records()]
    return Preview(policy_id, policy.version, stands.version_id, masker.threshold, records)


@get(
    "/api/privacy/pii-types",
    operation_id="ListPiiTypes",
    summary="List the types of personal data",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=False,
)
def list_pii_types() -> PiiTypePage:
    """List all types that are known, with what finds each and what is done with it where a policy says nothing."""
    items = [PiiTypeView.of(kind) for kind in CATALOGUE.values()]
    return PiiTypePage(items, len(items), len(items), 0)
