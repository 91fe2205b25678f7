"""Wire types of silences."""

import uuid
from datetime import datetime
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from api.errors import FieldError, Invalid
from api.schemas.common import NO_NUL, AwareTime, LongText, in_utc
from monitoring.rules import Metric, Severity
from monitoring.silencing import MATCHABLE
from monitoring.store.alert_tables import Silence
from monitoring.store.silences import SilenceTerms

MatcherValue = Annotated[str, Meta(min_length=1, max_length=1000, pattern=NO_NUL)]
Matchers = Annotated[
    dict[str, MatcherValue],
    Meta(
        min_length=1,
        max_length=len(MATCHABLE),
        description=f"{{field: value}}, all must match; fields: {', '.join(MATCHABLE)} (`rule`: the rule's name)",
    ),
]
_VALUES = {"metric": get_args(Metric), "severity": get_args(Severity)}


class SilenceCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A silence to make, or (PUT) all that one is to be. Without `starts_at` it starts now."""

    matchers: Matchers
    ends_at: AwareTime
    starts_at: AwareTime | None = None
    comment: LongText = ""

    def terms(self, now: datetime) -> SilenceTerms:
        """Return what is silenced and when, ids spelt as ours. Raises Invalid."""
        matchers, wrong = _checked(self.matchers)
        starts_at = in_utc(self.starts_at, "starts_at") or now
        ends_at = in_utc(self.ends_at, "ends_at") or now
        if ends_at <= max(starts_at, now):
            wrong.append(FieldError("ends_at", "must lie in the future and after starts_at"))
        if wrong:
            raise Invalid(*wrong)
        return SilenceTerms(matchers, starts_at, ends_at, self.comment)


def _checked(matchers: dict[str, str]) -> tuple[dict[str, str], list[FieldError]]:
    checked, wrong = {}, []
    for field, value in matchers.items():
        checked[field], message = _matcher(field, value)
        if message:
            wrong.append(FieldError(f"matchers.{field}" if field in MATCHABLE else "matchers", message))
    return checked, wrong


def _matcher(field: str, value: str) -> tuple[str, str]:
    """Return the value as labels spell it, and what is wrong with it (empty: nothing)."""
    if field not in MATCHABLE:
        return value, f"nothing can be matched by {field[:100]!r}; fields: {', '.join(MATCHABLE)}"
    if field in _VALUES and value not in _VALUES[field]:
        return value, f"is one of {', '.join(_VALUES[field])}"
    if field.endswith("_id"):
        try:
            return str(uuid.UUID(value)), ""
        except ValueError:
            return value, "is not an id"
    return value, ""


class SilenceView(msgspec.Struct, frozen=True):
    """A silence; `state` is `waiting` before it starts, then `active`, then `ended`."""

    id: uuid.UUID
    project_id: uuid.UUID
    matchers: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    comment: str
    state: Literal["waiting", "active", "ended"]
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, row: Silence, now: datetime) -> "SilenceView":
        """Return the view of a stored silence at a time."""
        state: Literal["waiting", "active", "ended"] = "active" if row.starts_at <= now else "waiting"
        return cls(
            id=row.id,
            project_id=row.project_id,
            matchers=row.matchers,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            comment=row.comment,
            state="ended" if row.ends_at <= now else state,
            created_by=row.created_by,
            created_at=row.created_at,
        )


class SilencePage(msgspec.Struct, frozen=True):
    """A page of silences."""

    items: list[SilenceView]
    total: int
    limit: int
    offset: int
