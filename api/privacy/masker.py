"""Masks records before they leave the process: finds what is personal and does what the rules say with it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from api.privacy.actions import Act, compile_action
from api.privacy.detection import UNEXAMINED, Detector, Finding
from api.privacy.rule_set import Rule, RuleSet, default_rules

REDACTED: Final = "[REDACTED]"
_MAX_DEPTH: Final = 8
_CACHED_TEXT: Final = 64
_CACHED_VALUES: Final = 8192
_CACHED_NAMES: Final = 4096
_SHORTEST_KEY: Final = 16
_EXACT_FLOAT: Final = 2.0**53


@dataclass(frozen=True, slots=True)
class FieldMasking:
    """What was found in a field and done with it, the likeliest type first; `score` is the highest."""

    pii_types: tuple[str, ...]
    score: float
    actions: tuple[str, ...]
    how: str

    @property
    def pii_type(self) -> str:
        """The likeliest type."""
        return self.pii_types[0]

    @property
    def action(self) -> str:
        """What was done with the likeliest type."""
        return self.actions[0]


@dataclass(frozen=True, slots=True)
class Masked:
    """A record as it may leave the process, and what was masked by field: the record itself when nothing was."""

    record: dict[str, Any]
    touched: dict[str, FieldMasking]


class _Kept(NamedTuple):
    """What is kept of one value; `masking` says why it is not the value itself."""

    value: Any
    masking: FieldMasking


class _Mapped(NamedTuple):
    act: Act
    masking: FieldMasking


class _Dropped:
    """Stands for a value of which nothing is kept."""


_DROPPED: Final = _Dropped()
_TOO_DEEP: Final = _Kept(REDACTED, FieldMasking(("unknown",), 1.0, ("redact",), "too deeply nested to be looked at"))


class Masker:
    """Masks by one rule set and one project key; immutable but for its caches, so threads share it.

    A column of `column_map` is masked whatever its values look like, by its type's rule, else by the type's default
    action. Names of columns are looked at like text, but for those in `known_columns`.
    """

    def __init__(
        self,
        rule_set: RuleSet,
        *,
        column_map: Mapping[str, str],
        threshold: float | None,
        key: bytes,
        version_id: uuid.UUID,
        known_columns: frozenset[str] = frozenset(),
    ) -> None:
        if len(key) < _SHORTEST_KEY:
            raise ValueError(f"the key must have at least {_SHORTEST_KEY} bytes")
        self.version_id = version_id
        self.threshold = rule_set.threshold if threshold is None else threshold
        self._rules = dict(rule_set.rules)
        for pii_type in column_map.values():
            self._rules.setdefault(pii_type, default_rules()[pii_type])
        self._acts = {name: compile_action(name, rule.action, rule.config, key) for name, rule in self._rules.items()}
        self._acts[UNEXAMINED], self._rules[UNEXAMINED] = (lambda _text: REDACTED), Rule("redact")
        self._mapped = {column: self._plan(pii_type) for column, pii_type in column_map.items()}
        self._known_columns = known_columns | column_map.keys()
        self._detector = Detector(rule_set.rules.keys(), column_map={}, threshold=self.threshold)
        self._look_cached = lru_cache(_CACHED_VALUES, typed=True)(self._look)
        self._name_cached = lru_cache(_CACHED_NAMES)(self._mask_name)

    def mask_record(self, record: dict[str, Any]) -> Masked:
        """Return the record masked; it is the caller's own object when nothing was touched."""
        touched: dict[str, FieldMasking] = {}
        return Masked(self._mask_items(record, touched), touched)

    def mask_value(self, column: str, value: object) -> Any:  # noqa: ANN401 - as JSON has it
        """Return what is kept of a column's value: the value itself when nothing is personal, None when dropped."""
        found = self._mask(column, value)
        if found is None:
            return value
        return None if found.value is _DROPPED else found.value

    def mask_text(self, text: str) -> str:
        """Return free text with each personal span masked; text too long to be looked at is redacted whole."""
        findings = self._detector.find_in_text(text)
        return self._mask_spans(text, findings) if findings else text

    def _plan(self, pii_type: str) -> _Mapped:
        masking = FieldMasking((pii_type,), 1.0, (self._rules[pii_type].action,), "column map")
        return _Mapped(self._acts[pii_type], masking)

    def _mask_items(
        self, record: dict[str, Any], touched: dict[str, FieldMasking], around: _Mapped | None = None, depth: int = 0
    ) -> dict[str, Any]:
        masked: dict[str, Any] | None = None
        for column, value in record.items():
            found = self._mask(column, value, around, depth)
            name = None if column in self._known_columns else self._look_at_name(column)
            why = found or name
            if why is None:
                continue
            if masked is None:
                masked = dict(record)
            stored_as = column if name is None else name.value
            if name is not None or (found is not None and found.value is _DROPPED):
                del masked[column]
            if found is None or found.value is not _DROPPED:
                masked[stored_as] = value if found is None else found.value
            touched[stored_as] = why.masking
        return record if masked is None else masked

    def _mask(self, column: str, value: object, around: _Mapped | None = None, depth: int = 0) -> _Kept | None:
        """Return what is kept of a value, None when it is not touched; `around` is the mapped column it stands in."""
        if value is None:
            return None
        mapped = around or self._mapped.get(column)
        kind = type(value)
        if kind is dict or kind is list or kind is tuple:
            return self._mask_nested(column, value, mapped, depth)
        if mapped is not None:
            return self._act_on_mapped(mapped, value)
        if kind is bool:
            return None
        if len(column) > _CACHED_TEXT or (isinstance(value, str) and len(value) > _CACHED_TEXT):
            return self._look(column, value)
        return self._look_cached(column, value)

    def _act_on_mapped(self, mapped: _Mapped, value: object) -> _Kept | None:
        if value == "":
            return None
        kept = mapped.act(text_of(value))
        return _Kept(_DROPPED if kept is None else kept, mapped.masking)

    def _look(self, column: str, value: object) -> _Kept | None:
        findings = self._detector.find(column, value)
        if not findings:
            return None
        first = findings[0]
        if not isinstance(value, str) or (first.start == 0 and first.end >= len(value)):
            kept = self._acts[first.pii_type](text_of(value))
            return _Kept(_DROPPED if kept is None else kept, self._explain(findings[:1]))
        return _Kept(self._mask_spans(value, findings), self._explain(findings))

    def _mask_spans(self, text: str, findings: Sequence[Finding]) -> str:
        pieces, position = [], 0
        for finding in findings:
            pieces += [
                text[position : finding.start],
                self._acts[finding.pii_type](text[finding.start : finding.end]) or "",
            ]
            position = finding.end
        return "".join([*pieces, text[position:]])

    def _explain(self, findings: Sequence[Finding]) -> FieldMasking:
        ranked = sorted(findings, key=lambda finding: -finding.score)
        types = tuple(dict.fromkeys(finding.pii_type for finding in ranked))
        actions = tuple(self._rules[name].action for name in types)
        return FieldMasking(types, ranked[0].score, actions, ranked[0].how)

    def _mask_nested(self, column: str, value: Any, mapped: _Mapped | None, depth: int) -> _Kept | None:  # noqa: ANN401
        """Mask the leaves of a value that no model takes, but that a refused request may hold."""
        if depth >= _MAX_DEPTH:
            return _TOO_DEEP
        touched: dict[str, FieldMasking] = {}
        if isinstance(value, dict):
            kept: Any = self._mask_items(value, touched, mapped, depth + 1)
        else:
            kept = []
            for item in value:
                found = self._mask(column, item, mapped, depth + 1)
                if found is None or found.value is not _DROPPED:
                    kept.append(item if found is None else found.value)
                if found is not None:
                    touched[str(len(touched))] = found.masking
        return _Kept(kept, max(touched.values(), key=lambda masking: masking.score)) if touched else None

    def _look_at_name(self, column: str) -> _Kept | None:
        return self._name_cached(column) if len(column) <= _CACHED_TEXT else self._mask_name(column)

    def _mask_name(self, column: str) -> _Kept | None:
        """Return what is kept of a column's name that holds personal data itself, None for any other."""
        findings = self._detector.find_in_text(column)
        return _Kept(self._mask_spans(column, findings), self._explain(findings)) if findings else None


def text_of(value: object) -> str:
    """Return a value as text: whole numbers by their digits, whatever their type."""
    if type(value) is float and value.is_integer() and abs(value) < _EXACT_FLOAT:
        return str(int(value))
    return str(value)
