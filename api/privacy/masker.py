"""Masks records before they leave the process: finds what is personal and does what the rules say with it."""

import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from api.privacy.actions import Act, compile_action
from api.privacy.detection import UNEXAMINED, Detector, Finding
from api.privacy.rule_set import Rule, RuleSet, default_rules

REDACTED: Final = "[REDACTED]"
_MAX_DEPTH: Final = 8
_LONGEST_REMEMBERED: Final = 64
_MOST_COLUMNS: Final = 4096
_MOST_TEXTS: Final = 256
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


class _Around(NamedTuple):
    """What a nested value stands in: a mapped column, or one whose name tells; `depth` counts the levels."""

    mapped: _Mapped | None = None
    name: str | None = None
    depth: int = 0


class _Column:
    """What is remembered of a column: how it is mapped, what is kept of its own name, and its last short texts."""

    __slots__ = ("mapped", "name", "texts")

    def __init__(self, mapped: _Mapped | None, name: _Kept | None) -> None:
        self.mapped = mapped
        self.name = name
        self.texts: dict[str, _Kept | None] = {}


class _Dropped:
    """Stands for a value of which nothing is kept."""


_NESTED: Final = (dict, list, tuple)
_DROPPED: Final = _Dropped()
_NOTHING_AROUND: Final = _Around()
_TOO_DEEP: Final = _Kept(REDACTED, FieldMasking(("unknown",), 1.0, ("redact",), "too deeply nested to be looked at"))


class Masker:
    """Masks by one rule set and one project key; immutable but for its caches, so threads share it.

    A column of `column_map` is masked whatever its values look like, by its type's rule, else by the type's default
    action; so is one that differs from it by case or signs alone, as refused requests may spell it. Those of
    `known_columns` are no such, and their names are not looked at; other names are, like text.
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
        self._mapped_alike = {_spelling(column): plan for column, plan in self._mapped.items()}
        self._known_columns = known_columns | column_map.keys()
        self._detector = Detector(rule_set.rules.keys(), column_map={}, threshold=self.threshold)
        self._columns: dict[str, _Column] = {}
        self._maskings: dict[tuple[str, float, str], FieldMasking] = {}

    def mask_record(self, record: dict[str, Any]) -> Masked:
        """Return the record masked; it is the caller's own object when nothing was touched."""
        touched: dict[str, FieldMasking] = {}
        return Masked(self._mask_items(record, touched), touched)

    def mask_value(self, column: str, value: object) -> Any:  # noqa: ANN401 - as JSON has it
        """Return what is kept of a column's value: the value itself when nothing is personal, None when dropped."""
        found = self._mask(self._columns.get(column) or self._read_column(column), column, value)
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
        self, record: dict[str, Any], touched: dict[str, FieldMasking], around: _Around = _NOTHING_AROUND
    ) -> dict[str, Any]:
        masked: dict[str, Any] | None = None
        for name, value in record.items():
            column = self._columns.get(name) or self._read_column(name)
            found = self._mask(column, name, value, around)
            why = found or column.name
            if why is None:
                continue
            if masked is None:
                masked = dict(record)
            stored_as = name if column.name is None else column.name.value
            if column.name is not None or (found is not None and found.value is _DROPPED):
                del masked[name]
            if found is None or found.value is not _DROPPED:
                masked[stored_as] = value if found is None else found.value
            touched[stored_as] = why.masking
        return record if masked is None else masked

    def _read_column(self, name: str) -> _Column:
        if name in self._known_columns:
            column = _Column(self._mapped.get(name), None)
        else:
            column = _Column(self._mapped_alike.get(_spelling(name)), self._mask_name(name))
        if len(name) <= _LONGEST_REMEMBERED:
            if len(self._columns) >= _MOST_COLUMNS:
                self._columns.clear()
            self._columns[name] = column
        return column

    def _mask(self, column: _Column, name: str, value: object, around: _Around = _NOTHING_AROUND) -> _Kept | None:
        """Return what is kept of a value, None when it is not touched."""
        if value is None:
            return None
        mapped = around.mapped or column.mapped
        if isinstance(value, _NESTED):
            return self._mask_nested(column, name, value, around._replace(mapped=mapped))
        if mapped is not None:
            return self._act_on_mapped(mapped, value)
        found = self._look_once(column, name, value)
        return self._look(around.name, value) if found is None and around.name is not None else found

    def _look_once(self, column: _Column, name: str, value: object) -> _Kept | None:
        if not isinstance(value, str) or len(value) > _LONGEST_REMEMBERED:
            return self._look(name, value)
        try:
            return column.texts[value]
        except KeyError:
            return self._look_and_remember(column, name, value)

    def _look_and_remember(self, column: _Column, name: str, text: str) -> _Kept | None:
        found = self._look(name, text)
        if len(column.texts) >= _MOST_TEXTS:
            column.texts.clear()
        column.texts[text] = found
        return found

    def _act_on_mapped(self, mapped: _Mapped, value: object) -> _Kept | None:
        if value == "":
            return None
        kept = mapped.act(text_of(value))
        return _Kept(_DROPPED if kept is None else kept, mapped.masking)

    def _look(self, name: str, value: object) -> _Kept | None:
        findings = self._detector.find(name, value)
        if not findings:
            return None
        first = findings[0]
        if not isinstance(value, str):
            kept = self._acts[first.pii_type](text_of(value))
        elif first.start == 0 and first.end >= len(value):
            kept = self._acts[first.pii_type](value)
        else:
            return _Kept(self._mask_spans(value, findings), self._explain(findings))
        return _Kept(_DROPPED if kept is None else kept, self._explain(findings))

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
        best = findings[0] if len(findings) == 1 else max(findings, key=lambda finding: finding.score)
        known = self._maskings.get((best.pii_type, best.score, best.how)) if len(findings) == 1 else None
        if known is not None:
            return known
        types = tuple(dict.fromkeys(finding.pii_type for finding in (best, *findings)))
        made = FieldMasking(types, best.score, tuple(self._rules[name].action for name in types), best.how)
        if len(findings) == 1:
            self._maskings[best.pii_type, best.score, best.how] = made
        return made

    def _mask_nested(
        self,
        column: _Column,
        name: str,
        value: dict[str, Any] | list[Any] | tuple[Any, ...],
        around: _Around,
    ) -> _Kept | None:
        """Mask the leaves of a value that no model takes, but that a refused request may hold."""
        if around.depth >= _MAX_DEPTH:
            return _TOO_DEEP
        inside = _Around(around.mapped, name if self._detector.is_told_by(name) else around.name, around.depth + 1)
        touched: dict[str, FieldMasking] = {}
        if isinstance(value, dict):
            kept: Any = self._mask_items(value, touched, inside)
        else:
            kept = []
            for item in value:
                found = self._mask(column, name, item, inside)
                if found is None or found.value is not _DROPPED:
                    kept.append(item if found is None else found.value)
                if found is not None:
                    touched[str(len(touched))] = found.masking
        return _Kept(kept, max(touched.values(), key=lambda masking: masking.score)) if touched else None

    def _mask_name(self, name: str) -> _Kept | None:
        """Return what is kept of a column's name that holds personal data itself, None for any other."""
        findings = self._detector.find_in_text(name)
        return _Kept(self._mask_spans(name, findings), self._explain(findings)) if findings else None


def text_of(value: object) -> str:
    """Return a value as text: whole numbers by their digits, whatever their type."""
    if type(value) is float and value.is_integer() and abs(value) < _EXACT_FLOAT:
        return str(int(value))
    return str(value)


def _spelling(column: str) -> str:
    """Return a column's name without case and signs, by which a misspelt one is known again."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", column))).casefold()
