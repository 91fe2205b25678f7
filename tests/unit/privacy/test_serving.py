"""What becomes of data before it leaves: rows, echoes, names and messages, and what is left when masking fails."""

import uuid
from typing import Any

import pytest

from api.errors import FieldError, Invalid, Unavailable, UnsupportedMediaType
from api.masked_errors import Unexpected, mask_error, mask_row_errors
from api.privacy.masker import Masker
from api.privacy.row_bins import RowBins
from api.privacy.rule_set import RuleSet, default_rule_set
from api.privacy.serving import FailureCounter, Privacy
from api.scoring.errors import InvalidRows
from api.scoring.features import Feature, RowEncoder

VERSION = uuid.UUID(int=7)
EMAIL = "anna.canary@example.com"
PROFILE = [{"name": "AGE", "edges": [40.0, 60.0]}, {"name": "contact", "labels": ["none"], "others": ["shop"]}]


def privacy(rules: RuleSet | None = None, *, failure: str | None = None) -> Privacy:
    rule_set = rules or default_rule_set()
    names = frozenset({"AGE", "contact", "size"})
    made = Masker(rule_set, column_map={}, threshold=None, key=b"k" * 32, version_id=VERSION, known_columns=names)
    return Privacy(
        version_id=VERSION,
        logs=True,
        response=True,
        rules=rule_set,
        masker=None if failure else made,
        bins=RowBins(PROFILE),
        features=names,
        failures=FailureCounter(),
        failure=failure,
    )


def test_rows_nobody_needs_to_mask_stay_the_callers_own() -> None:
    row = {"size": 1.5}
    [kept], masking = privacy().mask_rows([row], binned=True)
    assert kept is row
    assert (masking.version_id, masking.errors, masking.bins) == (VERSION.hex, [None], [None])


def test_masked_rows_have_the_bins_of_their_raw_values() -> None:
    rows: list[dict[str, Any] | None] = [{"AGE": 41, "contact": EMAIL, "size": 2}, None, {"AGE": 99}]
    kept, masking = privacy().mask_rows(rows, binned=True)
    assert EMAIL not in str(kept)
    assert kept[1] is None
    assert masking.bins == [{"AGE": 1, "contact": "unseen"}, None, {"AGE": 2}]
    assert privacy().mask_rows(rows, binned=False)[1].bins == [None, None, None]


def test_without_a_masker_nothing_is_kept_or_shown_and_all_is_counted() -> None:
    closed = privacy(failure="no masker")
    kept, masking = closed.mask_rows([{"size": 1}, None], binned=True)
    assert kept == [None, None]
    assert masking.errors == ["no masker", None]
    assert closed.mask_text("all is well") == "[REDACTED]"
    assert closed.mask_name("AGE") == "AGE"
    assert closed.mask_name("other") == "[REDACTED]"
    warning = {"feature": "contact", "unseen": 2, "examples": ["x"]}
    assert closed.mask_echoes([warning]) == [warning | {"examples": []}]
    assert closed.failures.count == 4


def test_a_row_that_fails_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = privacy()
    assert masks.masker is not None
    real = masks.masker.mask_record

    def fail_on_minors(record: Any) -> Any:
        if record["AGE"] < 18:
            raise ValueError(f"cannot mask {record}")
        return real(record)

    monkeypatch.setattr(masks.masker, "mask_record", fail_on_minors)
    kept, masking = masks.mask_rows([{"AGE": 41}, {"AGE": 12}, {"AGE": 70}], binned=True)
    assert [row is None for row in kept] == [False, True, False]
    assert masking.errors == [None, "The inputs could not be masked, so they are not kept (ValueError)", None]
    assert masking.bins == [{"AGE": 1}, None, {"AGE": 2}]
    assert masks.failures.count == 1


def test_echoes_that_were_cut_are_not_shown_at_all() -> None:
    examples = ["harmless", EMAIL, "y" * 80 + EMAIL[:20]]
    [warning] = privacy().mask_echoes([{"feature": "contact", "unseen": 3, "examples": examples}])
    assert warning["examples"][0] == "harmless"
    assert EMAIL not in warning["examples"][1]
    assert warning["examples"][2] == "[REDACTED]"


def test_where_nothing_is_masked_there_is_no_privacy() -> None:
    assert privacy().told(logs=False, response=False) is None
    only_logs = privacy().told(logs=True, response=False)
    assert only_logs is not None
    assert (only_logs.logs, only_logs.response) == (True, False)


def test_row_errors_are_told_without_values_and_without_personal_names() -> None:
    encoder = RowEncoder([Feature("AGE", "numeric")])
    with pytest.raises(InvalidRows) as caught:
        encoder.encode([{"AGE": EMAIL, EMAIL: 1, "z" * 300: 1, "plain": 1}])
    told = mask_row_errors(caught.value, privacy())
    assert EMAIL not in str(told)
    assert (told[0].field, told[0].message) == ("AGE", "must be a number, not text")
    assert [each.field for each in told[2:]] == ["[REDACTED]", "plain"]


def test_errors_quote_nothing_personal() -> None:
    told = mask_error(Invalid(FieldError(f"options.{EMAIL}", f"unknown field `{EMAIL}`")), privacy())
    assert isinstance(told, Invalid)
    assert EMAIL not in str(told) + str(told.errors)
    assert EMAIL not in str(mask_error(UnsupportedMediaType(f"not {EMAIL}"), privacy()))
    assert EMAIL not in str(mask_error(Invalid(FieldError("x", EMAIL)), privacy(failure="no masker")))
    unexpected = mask_error(RuntimeError(EMAIL), privacy())
    assert isinstance(unexpected, Unexpected)
    assert str(unexpected) == "RuntimeError"
    ours = Unavailable("The log is full")
    assert mask_error(ours, privacy()) is ours
