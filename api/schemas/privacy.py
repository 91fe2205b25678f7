"""Wire types of privacy policies, their rules and versions, the preview, and the types of personal data."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.privacy.catalogue import PiiType
from api.privacy.masker import FieldMasking, Masked
from api.privacy.rule_set import DEFAULT_THRESHOLD, RuleSet
from api.schemas.common import NO_NUL, JsonObject, LongText, Name
from monitoring.store.privacy_policies import PolicyFacts
from monitoring.store.privacy_tables import PrivacyPolicy, PrivacyRule, PrivacyVersion

Profile = Literal["hipaa", "gdpr", "pci_dss", "ccpa", "custom"]
Status = Literal["draft", "active"]
Action = Literal["drop", "redact", "replace", "pseudonymize", "hash", "mask", "generalize"]
Confidence = Annotated[float, Meta(ge=0, le=1, description="least score that acts, 0.0-1.0 (0.5)")]
TypeName = Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL, description="one of the PII types")]
ColumnName = Annotated[str, Meta(max_length=1000, pattern=NO_NUL)]
Record = dict[str, str | int | float | bool | None]


class PolicySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy's settings."""

    confidence_threshold: Confidence = DEFAULT_THRESHOLD


class PolicyCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy to make. Its profile gives the rules it begins with; a draft cannot be attached to deployments."""

    project_id: uuid.UUID
    name: Name
    description: LongText = ""
    profile: Profile = "custom"
    status: Status = "active"
    settings: PolicySettings = PolicySettings()

    def facts(self) -> PolicyFacts:
        """Return what the store keeps of it."""
        return PolicyFacts(self.name, self.description, self.profile, self.status, self.settings.confidence_threshold)


class PolicyUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a policy; what is left out stays."""

    name: Name | UnsetType = UNSET
    description: LongText | UnsetType = UNSET
    profile: Profile | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    settings: PolicySettings | UnsetType = UNSET

    def over(self, row: PrivacyPolicy) -> PolicyFacts:
        """Return all that the policy is to be: what is given here, and the rest as it is."""
        threshold = row.confidence_threshold if self.settings is UNSET else self.settings.confidence_threshold
        given = {name: getattr(self, name) for name in ("name", "description", "profile", "status")}
        kept = {name: getattr(row, name) if value is UNSET else value for name, value in given.items()}
        return PolicyFacts(confidence_threshold=threshold, **kept)


class RuleCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a policy is to do with one type, over what its profile says. Disabled, the type is left alone."""

    pii_type: TypeName
    action: Action
    config: Annotated[
        JsonObject,
        Meta(
            description="mask: {show_first, show_last, char}; replace: {value}; generalize: {to: year | month | "
            "network | age_band (width) | step (step) | postal_prefix (length) | coordinates (decimals)}; "
            "others: nothing"
        ),
    ] = msgspec.field(default_factory=dict)
    is_enabled: bool = True


class RuleView(msgspec.Struct, frozen=True):
    """A rule of a policy."""

    id: uuid.UUID
    policy_id: uuid.UUID
    pii_type: str
    action: str
    config: JsonObject
    is_enabled: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: PrivacyRule) -> "RuleView":
        """Return the view of a stored rule."""
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class RulePage(msgspec.Struct, frozen=True):
    """A page of rules."""

    items: list[RuleView]
    total: int
    limit: int
    offset: int


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """A policy; `version` is the number of its rule set as it stands."""

    id: uuid.UUID
    project_id: uuid.UUID
    name: str
    description: str
    profile: str
    status: str
    settings: PolicySettings
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: PrivacyPolicy) -> "PolicyView":
        """Return the view of a stored policy."""
        return cls(**_policy_columns(row))


class EffectiveRule(msgspec.Struct, frozen=True):
    """What the policy does with a type, all told; `source` says whether its own rule or its profile has it so."""

    pii_type: str
    action: str
    config: JsonObject
    source: Literal["profile", "rule"]


class PolicyDetail(PolicyView, frozen=True, kw_only=True):
    """A policy with its own rules, all that is in force, and the deployments that name it."""

    version_id: uuid.UUID
    rules: list[RuleView]
    effective_rules: list[EffectiveRule]
    deployment_ids: list[uuid.UUID]

    @classmethod
    def whole(
        cls, row: PrivacyPolicy, rules: list[PrivacyRule], version: PrivacyVersion, deployment_ids: list[uuid.UUID]
    ) -> "PolicyDetail":
        """Return the view of a stored policy with all that belongs to it."""
        own = {rule.pii_type for rule in rules}
        return cls(
            **_policy_columns(row),
            version_id=version.id,
            rules=[RuleView.of(rule) for rule in rules],
            effective_rules=[
                EffectiveRule(name, rule["action"], rule["config"], "rule" if name in own else "profile")
                for name, rule in sorted(version.rule_set["rules"].items())
            ],
            deployment_ids=deployment_ids,
        )


def _policy_columns(row: PrivacyPolicy) -> dict[str, Any]:
    names = ("id", "project_id", "name", "description", "profile", "status", "version", "created_at", "updated_at")
    return {name: getattr(row, name) for name in names} | {"settings": PolicySettings(row.confidence_threshold)}


class PolicyPage(msgspec.Struct, frozen=True):
    """A page of policies."""

    items: list[PolicyView]
    total: int
    limit: int
    offset: int


class VersionView(msgspec.Struct, frozen=True):
    """A rule set as log rows name it; without a policy it is the catalogue's own default actions."""

    id: uuid.UUID
    policy_id: uuid.UUID | None
    number: int | None
    rule_set: JsonObject
    created_by: str | None
    created_at: datetime | None

    @classmethod
    def of(cls, row: PrivacyVersion) -> "VersionView":
        """Return the view of a stored version."""
        return cls(row.id, row.policy_id, row.number, row.rule_set, row.created_by, row.created_at)

    @classmethod
    def of_defaults(cls, version_id: uuid.UUID, rule_set: RuleSet) -> "VersionView":
        """Return the view of what masks where no policy is named."""
        return cls(version_id, None, None, rule_set.to_json(), None, None)


class VersionPage(msgspec.Struct, frozen=True):
    """A page of versions."""

    items: list[VersionView]
    total: int
    limit: int
    offset: int


class PreviewRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Records to try a policy on, and what a deployment would say of them."""

    inputs: Record | Annotated[list[Record], Meta(max_length=1000)]
    column_map: dict[ColumnName, TypeName] = msgspec.field(default_factory=dict)
    threshold: Confidence | None = None

    def records(self) -> list[Record]:
        """Return the records, one or many."""
        return self.inputs if isinstance(self.inputs, list) else [self.inputs]


class FieldPreview(msgspec.Struct, frozen=True):
    """What was found in a field and would be done with it, the likeliest type first; `score` is the highest."""

    pii_type: str
    score: float
    action: str
    how: str
    pii_types: list[str]

    @classmethod
    def of(cls, masking: FieldMasking) -> "FieldPreview":
        """Return the view of what the masker did."""
        return cls(masking.pii_type, masking.score, masking.action, masking.how, list(masking.pii_types))


class RecordPreview(msgspec.Struct, frozen=True):
    """A record as it would be stored, and its masked fields."""

    stored: Mapping[str, Any]
    fields: dict[str, FieldPreview]

    @classmethod
    def of(cls, masked: Masked) -> "RecordPreview":
        """Return the view of a masked record."""
        return cls(masked.record, {name: FieldPreview.of(each) for name, each in masked.touched.items()})


class Preview(msgspec.Struct, frozen=True):
    """What a policy would make of records; nothing was stored."""

    policy_id: uuid.UUID
    version: int
    version_id: uuid.UUID
    threshold: float
    records: list[RecordPreview]


class PiiTypeView(msgspec.Struct, frozen=True):
    """A type of personal data. `detector`: value, context (form and column name) or column (a map or a telling name).

    `is_map_only` says that nothing but a column map can give it.
    """

    name: str
    title: str
    category: str
    description: str
    example: str
    detector: str
    is_map_only: bool
    action: str
    config: JsonObject

    @classmethod
    def of(cls, kind: PiiType) -> "PiiTypeView":
        """Return the view of a type of the catalogue."""
        values = {name: getattr(kind, name) for name in cls.__struct_fields__}
        return cls(**values | {"config": dict(kind.config)})


class PiiTypePage(msgspec.Struct, frozen=True):
    """All types of personal data."""

    items: list[PiiTypeView]
    total: int
    limit: int
    offset: int
