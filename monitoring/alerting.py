"""The alert state machine: where a rule stands for a deployment, a verdict and the time -> where it stands now."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from monitoring.rules import Severity

Phase = Literal["ok", "pending", "firing", "acknowledged"]
Cause = Literal["breach", "no_data"]
NoticeKind = Literal["firing", "repeat", "escalated", "resolved"]


@dataclass(frozen=True, kw_only=True)
class WatchState:
    """Where a rule stands for one deployment. `last_notice_at` outlives the alert: the cooldown counts from it."""

    phase: Phase = "ok"
    cause: Cause | None = None
    pending_since: datetime | None = None
    firing_since: datetime | None = None
    severity: Severity | None = None
    told: bool = False
    escalated: bool = False
    escalation_told: bool = False
    last_notice_at: datetime | None = None
    evaluated_at: datetime | None = None


@dataclass(frozen=True)
class Muting:
    """A silence that covers the alert now."""

    silence_id: str
    ends_at: datetime


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What an evaluation knows beside state and verdict.

    `last_sent_at`: when a notice of this rule and deployment (not a resolve) last reached a channel. `in_flight`: the
    alert's last notice has reached no channel yet and is still being tried.
    """

    now: datetime
    muting: Muting | None = None
    last_sent_at: datetime | None = None
    in_flight: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """What came of it: the new state, the notice to make (if any), and why, as a name and as a sentence."""

    state: WatchState
    notice: NoticeKind | None
    reason: str
    detail: str
