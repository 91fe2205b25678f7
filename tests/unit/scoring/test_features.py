import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.scoring.errors import InvalidRows, RowError
from api.scoring.features import Feature, RowEncoder

FEATURES = [
    Feature("age", "numeric"),
    Feature("plan", "categorical", ("basic", "gold, plus", "Zürich")),
    Feature("code", "categorical", ("1", "2.0", "10")),
    Feature("active", "categorical", ("false", "true")),
    Feature("Upper", "categorical", ("FALSE", "TRUE")),
    Feature("flag", "categorical", ("0", "1")),
]
ENCODER = RowEncoder(FEATURES)
NAMES = [feature.name for feature in FEATURES]


def encoded(name: str, value: Any) -> tuple[float, Any]:
    """Return the number and the logged value of a single field."""
    result = ENCODER.encode([{name: value}])
    return result.matrix[0, NAMES.index(name)], result.inputs[0][name]


def errors(*rows: Any) -> list[RowError]:
    with pytest.raises(InvalidRows) as refused:
        ENCODER.encode(list(rows))
    return refused.value.errors


def test_a_matrix_is_float64_contiguous_and_in_the_models_order() -> None:
    result = ENCODER.encode([{"plan": "gold, plus", "age": 3, "active": "true"}, {"flag": "1"}])
    assert result.matrix.dtype == np.float64
    assert result.matrix.flags.c_contiguous
    nan = math.nan
    np.testing.assert_array_equal(result.matrix, [[3, 1, nan, 1, nan, nan], [nan, nan, nan, nan, nan, 1]])
    assert result.warnings == []


def test_no_rows_make_an_empty_matrix() -> None:
    assert ENCODER.encode([]).matrix.shape == (0, 6)


@pytest.mark.parametrize(
    ("value", "number", "logged"),
    [
        (29.99, 29.99, 29.99),
        (3, 3.0, 3),
        (-0.0, 0.0, -0.0),
        (2**60, float(2**60), 2**60),
        (True, 1.0, 1),
        (False, 0.0, 0),
        ("29.99", 29.99, 29.99),
        (" 42 ", 42.0, 42.0),
        ("-1e3", -1000.0, -1000.0),
        ("+.5", 0.5, 0.5),
        ("7.", 7.0, 7.0),
        (1.7976931348623157e308, 1.7976931348623157e308, 1.7976931348623157e308),
        (5e-324, 5e-324, 5e-324),
    ],
)
def test_readable_numbers(value: Any, number: float, logged: Any) -> None:
    assert encoded("age", value) == (number, logged)
    assert type(encoded("age", value)[1]) is type(logged)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "finite"),
        (math.inf, "finite"),
        (-math.inf, "finite"),
        (10**400, "too large"),
        (-(10**400), "too large"),
        ("1e999", "too large"),
        ("", "must be a number"),
        (" ", "must be a number"),
        ("abc", "'abc'"),
        ("nan", "must be a number"),
        ("inf", "must be a number"),
        ("Infinity", "must be a number"),
        ("1_000", "must be a number"),
        ("0x10", "must be a number"),
        ("1,5", "must be a number"),
        ("٣", "must be a number"),
        ("1\n", "must be a number"),
        ("1" * 5000, "must be a number"),
        ("\x1b[31m", "\\u001b"),
        ([], "not a list"),
        ({}, "not an object"),
        ([1], "not a list"),
    ],
)
def test_unreadable_numbers_name_row_and_field(value: Any, said: str) -> None:
    found = errors({"age": 1}, {"age": value})
    assert [(error.row, error.field) for error in found] == [(1, "age")]
    assert said in found[0].message
    assert found[0].message.isprintable()
    assert len(found[0].message) < 120


@pytest.mark.parametrize(
    ("name", "value", "number", "logged"),
    [
        ("plan", "Zürich", 2, "Zürich"),
        ("code", "10", 2, "10"),
        ("code", 1, 0, "1"),
        ("code", 1.0, 0, "1"),
        ("code", 2, 1, "2.0"),
        ("code", 2.0, 1, "2.0"),
        ("active", True, 1, "true"),
        ("active", False, 0, "false"),
        ("Upper", True, 1, "TRUE"),
        ("flag", True, 1, "1"),
        ("flag", False, 0, "0"),
    ],
)
def test_labels_are_found_in_the_spelling_the_model_knows(name: str, value: Any, number: float, logged: str) -> None:
    assert encoded(name, value) == (number, logged)


@pytest.mark.parametrize(
    ("value", "logged"),
    [("Basic", "Basic"), (" basic", " basic"), ("", ""), (7, "7"), (7.5, "7.5"), (1e300, "1e+300"), (True, "true")],
)
def test_unseen_labels_are_missing_to_the_model_kept_for_the_log_and_counted(value: Any, logged: str) -> None:
    result = ENCODER.encode([{"plan": value}])
    assert math.isnan(result.matrix[0, 1])
    assert result.inputs == [{"plan": logged}]
    assert result.warnings == [{"feature": "plan", "unseen": 1, "examples": [logged]}]


def test_unseen_labels_show_three_distinct_examples_cut_short() -> None:
    labels = ["a", "a", "b", "c" * 1000, "d", "e"]
    result = ENCODER.encode([{"plan": label} for label in labels])
    assert result.warnings == [{"feature": "plan", "unseen": 6, "examples": ["a", "b", "c" * 100]}]


@pytest.mark.parametrize("value", [math.nan, math.inf, [], {}, ["basic"], 10**400, "\ud800", "nul\0"])
def test_unreadable_labels_name_row_and_field(value: Any) -> None:
    assert [(error.row, error.field) for error in errors({"plan": value})] == [(0, "plan")]


def test_null_and_absent_are_missing_and_stay_what_they_were() -> None:
    result = ENCODER.encode([{"age": None, "plan": None}, {}])
    assert np.isnan(result.matrix).all()
    assert result.inputs == [{"age": None, "plan": None}, {}]
    assert result.warnings == []


def test_unknown_features_are_refused_even_when_null() -> None:
    found = errors({"age": 1, "target": 1}, {"Age": None}, {"x" * 5000: 1})
    assert [(error.row, error.field[:6] if error.field else None) for error in found] == [
        (0, "target"),
        (1, "Age"),
        (2, "xxxxxx"),
    ]
    assert all(error.message == "is not a feature of the model" for error in found)
    assert all(len(error.field or "") <= 200 for error in found)


@pytest.mark.parametrize("row", [None, 1, "x", [], [{"age": 1}]])
def test_a_row_that_is_no_object_is_refused(row: Any) -> None:
    assert [(error.row, error.field) for error in errors({"age": 1}, row)] == [(1, None)]


def test_one_bad_row_refuses_all_and_the_errors_are_cut_at_a_hundred() -> None:
    assert len(errors(*[{"age": "bad", "plan": []}] * 3)) == 6
    assert len(errors(*[{"age": "bad"}] * 500)) == 100
    assert len(errors(*[None] * 500)) == 100
    assert len(errors({f"unknown{i}": 1 for i in range(500)})) == 100


def test_the_callers_rows_are_never_changed() -> None:
    row = {"age": "3", "code": 1, "active": True}
    kept = dict(row)
    result = ENCODER.encode([row])
    assert row == kept
    assert result.inputs == [{"age": 3.0, "code": "1", "active": "true"}]
    plain = {"age": 3, "plan": "basic"}
    assert ENCODER.encode([plain]).inputs[0] is plain


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["1", "true"])
)
JSON = SCALARS | st.sampled_from([[], {}, [1], {"a": [None]}])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from([*NAMES, "other"]), JSON, max_size=6), max_size=5))
def test_any_json_is_encoded_into_loggable_rows_or_refused(rows: list[dict[str, Any]]) -> None:
    try:
        result = ENCODER.encode(rows)
    except InvalidRows as refused:
        faults = refused.errors
    else:
        faults = []
        assert not np.isinf(result.matrix).any()
        text = json.dumps(result.inputs, allow_nan=False, ensure_ascii=False)
        text.encode("utf-8")
        assert [list(row) for row in result.inputs] == [list(row) for row in rows]
        again = ENCODER.encode(result.inputs)
        np.testing.assert_array_equal(again.matrix, result.matrix)
        assert again.inputs == result.inputs
    assert all(0 <= fault.row < len(rows) for fault in faults)
