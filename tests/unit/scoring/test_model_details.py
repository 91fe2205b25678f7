import json
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from api.scoring.model_details import ModelDetails, read_details


def details(output: Any, **others: Any) -> ModelDetails:
    return read_details(json.dumps({"output": output} | others).encode(), ["plan", "plan.x", "age"])


def test_metrics_are_named_by_where_they_were_measured() -> None:
    found = details(
        {
            "training_metrics": {"AUC": 0.9, "RMSE": 0.1, "nobs": 380, "model": {"name": "m"}, "Gini": "NaN"},
            "validation_metrics": None,
            "cross_validation_metrics": {"AUC": 0.8, "logloss": math.nan, "MSE": math.inf, "pr_auc": True},
        }
    )
    assert found.metrics == {
        "training": {"auc": 0.9, "rmse": 0.1, "rows": 380},
        "cross_validation": {"auc": 0.8},
    }


def test_parameters_lose_their_wrapping() -> None:
    listed = [
        {"name": "ntrees", "actual_value": 50},
        {"name": "training_frame", "actual_value": {"name": "frame.hex", "type": "Key<Frame>"}},
        {"name": "response_column", "actual_value": {"column_name": "CAPSULE"}},
        {"name": "hidden", "actual_value": [200, 200]},
        {"name": "seed", "actual_value": -1},
        {"name": "rate", "actual_value": math.nan},
        {"name": "long", "actual_value": "x" * 10_000},
        {"name": "nul", "actual_value": "a\0\ud800"},
        {"name": 7, "actual_value": 1},
        "nonsense",
    ]
    found = details({}, parameters=listed).parameters
    assert found["ntrees"] == 50
    assert found["training_frame"] == "frame.hex"
    assert found["response_column"] == "CAPSULE"
    assert found["hidden"] == [200, 200]
    assert found["rate"] is None
    assert len(found["long"]) == 500
    assert found["nul"] == "a?"
    assert len(found) == 8


def test_importances_of_encoded_columns_are_added_up_by_feature() -> None:
    table = {"data": [["plan.a", "age", "plan.b", "plan.x"], [2.0, 3.0, 1.0, 4.0], [0.5, 0.75, 0.25, 1.0]]}
    assert details({"variable_importances": table}).variable_importances == [
        {"feature": "plan.x", "relative": 4.0, "scaled": 1.0, "percentage": 0.4},
        {"feature": "plan", "relative": 3.0, "scaled": 0.75, "percentage": 0.3},
        {"feature": "age", "relative": 3.0, "scaled": 0.75, "percentage": 0.3},
    ]


def test_importances_that_say_nothing_are_none() -> None:
    for table in (None, {}, {"data": []}, {"data": [["age"], [0.0]]}, {"data": [["age"], ["NaN"]]}, {"data": [1, 2]}):
        assert details({"variable_importances": table}).variable_importances is None


def test_the_time_of_training_is_aware() -> None:
    assert str(details({"end_time": 1_795_508_472_445}).trained_at) == "2026-11-24 08:21:12.445000+00:00"
    assert str(details({}, timestamp=1_795_508_472_445).trained_at) == "2026-11-24 08:21:12.445000+00:00"
    for time in (-1, 0, 10**30, "now", None, True, math.nan):
        assert details({"end_time": time}).trained_at is None


def test_what_cannot_be_read_is_empty() -> None:
    for data in (
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"output": 3}',
        b'{"output": {"end_time": 1e999}}',
    ):
        assert read_details(data, []) == ModelDetails()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["data", "name", "actual_value", "AUC", "end_time", "column_name"]), inner)
    ),
)
KEYS = st.sampled_from(["training_metrics", "cross_validation_metrics", "variable_importances", "end_time"])


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(KEYS, VALUES), VALUES)
def test_any_json_makes_details_that_are_json_again(output: dict[str, Any], parameters: Any) -> None:
    found = details(output, parameters=parameters)
    text = json.dumps([found.metrics, found.parameters, found.variable_importances], allow_nan=False)
    assert "\\u0000" not in text
    assert "\\ud8" not in text
