"""The alert state machine: where a rule stands for a deployment, a verdict and the time -> where it stands now."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from monitoring.rules import SEVERITIES, Rule, Severity, Verdict

Phase = Literal["ok", "pending", "firing", "acknowledged"]
Cause = Literal["breach", "no_data"]
Gap = Literal["no_data", "too_few_samples"]
NoticeKind = Literal["firing", "repeat", "escalated", "resolved"]
Reason = Literal[
    # what happened
    "pending",
    "recovered",
    "fired",
    "escalated",
    "told",
    "repeated",
    "acknowledged",
    "resolved",
    "resolved_by_hand",
    "promoted_away",
    "deployment_inactive",
    "rule_deleted",
    "rule_disabled",
    "rule_changed",
    # why nothing did
    "below_threshold",
    "no_data",
    "too_few_samples",
    "silenced",
    "cooldown",
    "delivery_in_flight",
]

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""A time further ahead than this was taken from a wrong clock."""

_CLEARED: Final[dict[Phase, Reason]] = {
    "ok": "below_threshold",
    "pending": "recovered",
    "firing": "resolved",
    "acknowledged": "resolved",
}
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class WatchState:
    """Where a rule stands for one deployment.

    `told`: a notice of this alert was made; `escalation_told`: one that carries the raised severity. `last_notice_at`:
    when a notice (not a resolve) was last made or last reached a channel, whichever is later; the cooldown counts from
    it, also over to the next alert.
    """

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

    @property
    def is_open(self) -> bool:
        """Whether an alert is open: it fires, acknowledged or not."""
        return self.phase in ("firing", "acknowledged")


@dataclass(frozen=True)
class Muting:
    """A silence that covers the alert now."""

    silence_id: str
    ends_at: datetime


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What an evaluation knows beside state and verdict.

    `in_flight`: the alert's last notice has reached no channel yet and is still being tried.
    """

    now: datetime
    muting: Muting | None = None
    in_flight: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """What came of it: the new state, the notice to make (if any), and why, as a name and as a sentence.

    The notice carries the new state's severity; a resolve that of the state before.
    """

    state: WatchState
    notice: NoticeKind | None
    reason: Reason
    detail: str


class NotOpen(ValueError):
    """There is no firing alert to acknowledge."""


def evaluate(rule: Rule, state: WatchState, verdict: Verdict, circumstances: Circumstances) -> Step:
    """Move the watch by one verdict and say what is to be told, at most one notice, however long the last step is ago.

    A gap (no data that the rule ignores, or too few samples) neither confirms nor clears: it breaks a pending breach
    and leaves an open alert open. Time never runs backwards for a watch.
    """
    state, circumstances = _settle_clock(state, circumstances)
    if verdict.outcome == "clear":
        return _end(rule, state, circumstances, _CLEARED[state.phase], verdict.detail)
    if state.is_open:
        return _stay_open(rule, state, circumstances, verdict)
    if gap := _gap(rule, verdict):
        return _end(rule, state, circumstances, gap, verdict.detail)
    return _rise(rule, state, circumstances, verdict)


def acknowledge(state: WatchState, *, now: datetime, by: str) -> Step:
    """Stop repeats and escalation of a firing alert; doing it twice is harmless. Raise `NotOpen` if none is open."""
    if not state.is_open:
        raise NotOpen("No alert is open here")
    detail = f"acknowledged by {by} at {_written(now)}"
    return Step(state=replace(state, phase="acknowledged"), notice=None, reason="acknowledged", detail=detail)


def withdraw(rule: Rule, state: WatchState, circumstances: Circumstances, *, reason: Reason, detail: str) -> Step:
    """End the watch for another reason than a clear verdict; an open alert resolves, and is told like any resolve."""
    state, circumstances = _settle_clock(state, circumstances)
    return _end(rule, state, circumstances, reason, detail)


def severity_at(rule: Rule, state: WatchState, now: datetime) -> Severity:
    """Return the severity that an evaluation at `now` gives the alert.

    It follows the rule, edits included, but what an escalation raised stays at least as high until the alert ends.
    """
    raised = rule.escalation_severity if _escalates(rule, state, now) else None
    kept = state.severity if state.escalated else None
    return max((each for each in (rule.severity, raised, kept) if each), key=SEVERITIES.index)


def _settle_clock(state: WatchState, circumstances: Circumstances) -> tuple[WatchState, Circumstances]:
    """Give the step one time: the clock's, or the state's where that is ahead; times of a wrong clock are undone."""
    now = circumstances.now
    latest = max(now, state.evaluated_at or now, state.last_notice_at or now)
    if latest > now + CLOCK_TOLERANCE:
        state = replace(
            state,
            pending_since=_no_later(state.pending_since, now),
            firing_since=_no_later(state.firing_since, now),
            last_notice_at=_no_later(state.last_notice_at, now),
            evaluated_at=_no_later(state.evaluated_at, now),
        )
    now = max(now, state.evaluated_at or now)
    return replace(state, evaluated_at=now), replace(circumstances, now=now)


def _no_later(time: datetime | None, now: datetime) -> datetime | None:
    return min(time, now) if time else None


def _gap(rule: Rule, verdict: Verdict) -> Gap | None:
    """Name what keeps the verdict from saying anything; None: it is a breach, clear, or no data that counts."""
    if verdict.outcome == "no_data":
        return None if rule.no_data == "alert" else "no_data"
    return "too_few_samples" if verdict.outcome == "too_few_samples" else None


def _cause(verdict: Verdict) -> Cause:
    return "no_data" if verdict.outcome == "no_data" else "breach"


def _rise(rule: Rule, state: WatchState, circumstances: Circumstances, verdict: Verdict) -> Step:
    """Wait until the breach has lasted `for_minutes` unbroken, then fire."""
    now = circumstances.now
    since = state.pending_since or now
    state = replace(state, phase="pending", cause=_cause(verdict), pending_since=since)
    detail = verdict.detail
    if rule.for_minutes:
        detail = f"{detail} for {(now - since) // _MINUTE} of {rule.for_minutes} minutes"
    if now - since < rule.for_minutes * _MINUTE:
        return Step(state=state, notice=None, reason="pending", detail=detail)
    fired = replace(state, phase="firing", firing_since=now, severity=rule.severity)
    return _tell(rule, fired, circumstances, None, "fired", detail)


def _stay_open(rule: Rule, state: WatchState, circumstances: Circumstances, verdict: Verdict) -> Step:
    """Keep the alert open, escalate it once when its time has come, and tell what there is to tell."""
    now, gap = circumstances.now, _gap(rule, verdict)
    escalates = _escalates(rule, state, now)
    state = replace(
        state,
        cause=state.cause if gap else _cause(verdict),
        severity=severity_at(rule, state, now),
        escalated=state.escalated or escalates,
    )
    detail = f"{verdict.detail}; firing since {_written(state.firing_since or now)}"
    if escalates:
        return _tell(rule, state, circumstances, gap, "escalated", f"{detail}, escalated to {state.severity}")
    return _tell(rule, state, circumstances, gap, None, detail)


def _escalates(rule: Rule, state: WatchState, now: datetime) -> bool:
    if state.phase != "firing" or state.escalated or not state.firing_since:
        return False
    if not rule.escalation_minutes or not rule.escalation_severity:
        return False
    return now - state.firing_since >= rule.escalation_minutes * _MINUTE


def _tell(
    rule: Rule, state: WatchState, circumstances: Circumstances, gap: Gap | None, happened: Reason | None, detail: str
) -> Step:
    """Make the notice that an open alert owes, unless something holds it back; say which."""
    if held := _held_back(rule, state, circumstances, gap):
        return Step(state=state, notice=None, reason=happened or gap or held[0], detail=f"{detail}; {held[1]}")
    notice = _owed(state)
    told = replace(state, told=True, escalation_told=state.escalated, last_notice_at=circumstances.now)
    reason: Reason = "repeated" if notice == "repeat" else "told"
    return Step(state=told, notice=notice, reason=happened or reason, detail=detail)


def _owed(state: WatchState) -> NoticeKind:
    """Name what the alert's receivers do not know yet; a firing told late carries the escalation with it."""
    if not state.told:
        return "firing"
    return "escalated" if state.escalated and not state.escalation_told else "repeat"


def _held_back(
    rule: Rule, state: WatchState, circumstances: Circumstances, gap: Gap | None
) -> tuple[Reason, str] | None:
    """Say what keeps the owed notice back; an escalation passes the cooldown, and only repeats need a breach now."""
    if state.phase == "acknowledged":
        return "acknowledged", "acknowledged: nothing more is told before it resolves"
    if circumstances.muting:
        return "silenced", _silenced(circumstances.muting)
    if state.escalated and not state.escalation_told:
        return None
    until = state.last_notice_at and state.last_notice_at + rule.cooldown_minutes * _MINUTE
    if until and circumstances.now < until:
        return "cooldown", f"cooldown until {_written(until)}"
    return _repeat_waits(circumstances, gap) if state.told else None


def _repeat_waits(circumstances: Circumstances, gap: Gap | None) -> tuple[Reason, str] | None:
    if circumstances.in_flight:
        return "delivery_in_flight", "the last notice is still on its way"
    return (gap, "told again at the next breach") if gap else None


def _end(rule: Rule, state: WatchState, circumstances: Circumstances, reason: Reason, detail: str) -> Step:
    """Leave what was going on; an open alert resolves, and those who were told that it fired are told so."""
    ended = WatchState(last_notice_at=state.last_notice_at, evaluated_at=state.evaluated_at)
    if not state.is_open:
        return Step(state=ended, notice=None, reason=reason, detail=detail)
    if held := _resolve_held_back(rule, state, circumstances):
        return Step(state=ended, notice=None, reason=reason, detail=f"{detail}; {held}")
    return Step(state=ended, notice="resolved", reason=reason, detail=detail)


def _resolve_held_back(rule: Rule, state: WatchState, circumstances: Circumstances) -> str | None:
    if not state.told:
        return "not told, as its firing was not"
    if not rule.notify_resolved:
        return "not told, as the rule wants"
    return _silenced(circumstances.muting) if circumstances.muting else None


def _silenced(muting: Muting) -> str:
    return f"silenced by {muting.silence_id} until {_written(muting.ends_at)}"


def _written(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
