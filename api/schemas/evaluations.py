"""Wire types of evaluating an alert rule now, without recording or sending anything."""

import uuid
from datetime import datetime

import msgspec

from monitoring.alerting import NoticeKind, Phase, Reason, Step
from monitoring.rules import Outcome, Verdict
from monitoring.store.watches import Watch


class WatchEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What an evaluation sees and would decide for one deployment.

    `outcome` is what the value means for the rule, `verdict` says it in a sentence; `reason` and `detail` say why the
    phase would be `phase_next`, and why `would_notify` is the kind of notice it is, or null.
    """

    deployment_id: uuid.UUID
    deployment_name: str
    metric: str
    feature: str | None
    value: float | None
    samples: int | None
    outcome: Outcome
    verdict: str
    phase_now: Phase
    phase_next: Phase
    would_notify: NoticeKind | None
    reason: Reason
    detail: str

    @classmethod
    def of(cls, watch: Watch, verdict: Verdict, step: Step) -> "WatchEvaluation":
        """Return the view of what one evaluation found."""
        return cls(
            deployment_id=watch.deployment_id,
            deployment_name=watch.deployment_name,
            metric=watch.rule.metric,
            feature=watch.rule.feature,
            value=verdict.value,
            samples=verdict.samples,
            outcome=verdict.outcome,
            verdict=verdict.detail,
            phase_now=watch.state.phase,
            phase_next=step.state.phase,
            would_notify=step.notice,
            reason=step.reason,
            detail=step.detail,
        )


class RuleEvaluation(msgspec.Struct, frozen=True):
    """An evaluation of a rule for what it watches; `items` is empty when no active deployment is meant."""

    rule_id: uuid.UUID
    is_enabled: bool
    evaluated_at: datetime
    items: list[WatchEvaluation]
