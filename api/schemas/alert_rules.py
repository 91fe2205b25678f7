"""Wire types of alert rules."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.errors import FieldError, Invalid
from api.schemas.common import NO_NUL, JsonObject, Name
from monitoring.rules import SEVERITIES, Metric, NoDataPolicy, Operator, Severity
from monitoring.store.alert_tables import AlertRule, AlertState

Feature = Annotated[str, Meta(min_length=1, max_length=1000, pattern=NO_NUL, description="drift_psi: of this feature")]
Threshold = Annotated[float, Meta(ge=-1e300, le=1e300, description="in the metric's unit")]
ChannelIds = Annotated[list[uuid.UUID], Meta(max_length=100, description="where its notices go; may be empty")]
WindowMinutes = Annotated[int, Meta(ge=1, le=44_640, description="what each evaluation measures, 1-44640 (60)")]
ForMinutes = Annotated[int, Meta(ge=0, le=44_640, description="how long it must hold without a break to fire (0)")]
MinSamples = Annotated[int, Meta(ge=0, le=1_000_000_000, description="fewer decide nothing (100)")]
CooldownMinutes = Annotated[int, Meta(ge=1, le=1440, description="least time between notices, 1-1440 (60)")]
EscalationMinutes = Annotated[int, Meta(ge=1, le=1440, description="after firing, unless acknowledged, 1-1440")]
EscalationSeverity = Literal["warning", "critical"]


class AlertRuleCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule to make, or (PUT) all that one is to be. Without `deployment_id` it watches what is in production."""

    name: Name
    deployment_id: uuid.UUID | None = None
    metric: Metric
    feature: Feature | None = None
    operator: Operator
    threshold: Threshold
    severity: Severity
    channels: ChannelIds
    window_minutes: WindowMinutes = 60
    for_minutes: ForMinutes = 0
    min_samples: MinSamples = 100
    cooldown_minutes: CooldownMinutes = 60
    escalation_minutes: EscalationMinutes | None = None
    escalation_severity: EscalationSeverity | None = None
    no_data: NoDataPolicy = "ignore"
    notify_resolved: bool = True
    is_enabled: bool = True

    def values(self) -> JsonObject:
        """Return the rule's columns, a channel named twice once. Raises Invalid when fields do not go together."""
        wrong = [*self._escalation_errors()]
        if self.feature is not None and self.metric != "drift_psi":
            wrong.append(FieldError("feature", f"goes with the metric drift_psi only, not with {self.metric}"))
        if wrong:
            raise Invalid(*wrong)
        return msgspec.structs.asdict(self) | {"channels": list(dict.fromkeys(self.channels))}

    def _escalation_errors(self) -> list[FieldError]:
        if (self.escalation_minutes is None) != (self.escalation_severity is None):
            missing = "escalation_minutes" if self.escalation_minutes is None else "escalation_severity"
            return [FieldError(missing, "give escalation_minutes and escalation_severity, or neither")]
        if self.escalation_severity is None:
            return []
        if SEVERITIES.index(self.escalation_severity) <= SEVERITIES.index(self.severity):
            return [FieldError("escalation_severity", f"must be higher than the severity, {self.severity}")]
        return []


class AlertRulePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to change of a rule; what is left out stays, null takes a field away."""

    name: Name | UnsetType = UNSET
    deployment_id: uuid.UUID | UnsetType | None = UNSET
    metric: Metric | UnsetType = UNSET
    feature: Feature | UnsetType | None = UNSET
    operator: Operator | UnsetType = UNSET
    threshold: Threshold | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    channels: ChannelIds | UnsetType = UNSET
    window_minutes: WindowMinutes | UnsetType = UNSET
    for_minutes: ForMinutes | UnsetType = UNSET
    min_samples: MinSamples | UnsetType = UNSET
    cooldown_minutes: CooldownMinutes | UnsetType = UNSET
    escalation_minutes: EscalationMinutes | UnsetType | None = UNSET
    escalation_severity: EscalationSeverity | UnsetType | None = UNSET
    no_data: NoDataPolicy | UnsetType = UNSET
    notify_resolved: bool | UnsetType = UNSET
    is_enabled: bool | UnsetType = UNSET

    def over(self, row: AlertRule) -> AlertRuleCreate:
        """Return all that the rule is to be: what is given here, and the rest as it is."""
        names = AlertRuleCreate.__struct_fields__
        given: dict[str, Any] = {name: getattr(self, name) for name in names}
        return AlertRuleCreate(
            **{name: getattr(row, name) if value is UNSET else value for name, value in given.items()}
        )


class RuleStateView(msgspec.Struct, frozen=True):
    """Where a rule stands for one deployment, and what its last evaluation saw and decided."""

    deployment_id: uuid.UUID
    phase: str
    since: datetime | None
    value: float | None
    samples: int | None
    reason: str
    detail: str
    evaluated_at: datetime | None
    alert_id: uuid.UUID | None

    @classmethod
    def of(cls, row: AlertState) -> "RuleStateView":
        """Return the view of a stored state; `since`: when the breach was first seen, or when it began to fire."""
        return cls(
            deployment_id=row.deployment_id,
            phase=row.phase,
            since=row.firing_since or row.pending_since,
            value=row.value,
            samples=row.samples,
            reason=row.reason,
            detail=row.detail,
            evaluated_at=row.evaluated_at,
            alert_id=row.alert_id,
        )


class AlertRuleView(msgspec.Struct, frozen=True, kw_only=True):
    """An alert rule."""

    id: uuid.UUID
    project_id: uuid.UUID
    name: str
    deployment_id: uuid.UUID | None
    metric: str
    feature: str | None
    operator: str
    threshold: float
    severity: str
    channels: list[uuid.UUID]
    window_minutes: int
    for_minutes: int
    min_samples: int
    cooldown_minutes: int
    escalation_minutes: int | None
    escalation_severity: str | None
    no_data: str
    notify_resolved: bool
    is_enabled: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: AlertRule) -> "AlertRuleView":
        """Return the view of a stored rule."""
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class AlertRuleDetail(AlertRuleView, frozen=True, kw_only=True):
    """An alert rule, and where it stands for each deployment that it watches or watched."""

    states: list[RuleStateView]

    @classmethod
    def with_states(cls, row: AlertRule, states: list[AlertState]) -> "AlertRuleDetail":
        """Return the view of a stored rule with its states."""
        stated = [RuleStateView.of(state) for state in states]
        return cls(**msgspec.structs.asdict(AlertRuleView.of(row)), states=stated)


class AlertRulePage(msgspec.Struct, frozen=True):
    """A page of alert rules."""

    items: list[AlertRuleView]
    total: int
    limit: int
    offset: int
