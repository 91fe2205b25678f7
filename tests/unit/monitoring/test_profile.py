"""Profiles: what is frozen, and that it comes back exactly."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.bins import LabelBins, NumericBins
from monitoring.profile import Baseline, Predictions, Profile, build_profile, importance_shares
from tests.drift_material import PlainFeature

FEATURES = [PlainFeature("age", "numeric"), PlainFeature("city", "categorical", ("Delft", "Ghent"))]
FRAME = pl.DataFrame({"age": [20.0, 30.0, None, 50.0], "city": ["Delft", "Delft", None, "Pisa"]})
PREDICTIONS = Predictions("Binomial", [0.1, 0.6, 0.7, 0.2], ["no", "yes", "yes", "no"], ("no", "yes"))


def through_json(profile: Profile) -> Profile:
    return Profile.from_json(json.loads(json.dumps(profile.to_json())))


def test_features_predictions_and_importance_are_frozen() -> None:
    profile = build_profile(FRAME, FEATURES, PREDICTIONS, importance={"city": 0.25})
    age, city = profile.features
    assert profile.rows == 4
    assert sum(age.binned.expected) == 4
    assert age.binned.expected[-2:] == (1, 0)
    assert city.binned.bins == LabelBins(("Delft", "Pisa", "Ghent"))
    assert city.binned.expected == (2, 1, 0, 0, 1, 0)  # Ghent is known to the model; then other, missing, unseen
    assert (age.importance, city.importance) == (None, 0.25)
    assert profile.score is not None
    assert sum(profile.score.expected) == 4
    assert profile.labels is not None
    assert profile.labels.bins == LabelBins(("no", "yes"))
    assert profile.labels.expected == (2, 2, 0, 0, 0)
    assert (age.domain, city.domain) == (None, ("Delft", "Pisa", "Ghent"))


@given(
    st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50),
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=60),
)
def test_a_profile_survives_json_exactly(numbers: list[float | None], labels: list[str]) -> None:
    frame = pl.DataFrame(
        {"x": numbers, "c": [*labels, *[None] * len(numbers)][: len(numbers)]}, {"x": pl.Float64, "c": pl.String}
    )
    features = [PlainFeature("x", "numeric"), PlainFeature("c", "categorical", tuple(dict.fromkeys(labels)))]
    profile = build_profile(frame, features, Predictions("Regression", [0.1] * len(numbers)))
    assert through_json(profile) == profile


def test_a_profile_of_another_version_is_refused() -> None:
    data = build_profile(FRAME, FEATURES, PREDICTIONS).to_json()
    with pytest.raises(ValueError, match="version 2"):
        Profile.from_json({**data, "version": 2})


def test_an_empty_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        build_profile(FRAME.head(0), FEATURES, Predictions("Regression", []))


def test_the_kind_of_model_decides_what_predictions_are_binned() -> None:
    regression = build_profile(FRAME, FEATURES, Predictions("Regression", [1.0, 2.0, 3.0, 4.0]))
    assert regression.labels is None
    assert regression.score is not None
    assert isinstance(regression.score.bins, NumericBins)
    many = Predictions("Multinomial", [0.5] * 4, ["a", "b", "a", "a"], ("a", "b", "c"))
    multinomial = build_profile(FRAME, FEATURES, many)
    assert multinomial.score is None
    assert multinomial.labels is not None
    assert multinomial.labels.expected == (3, 1, 0, 0, 0, 0)


def test_accuracy_over_rows_whose_target_is_known_in_the_models_spelling() -> None:
    frame = FRAME.with_columns(target=pl.Series(["0", "1.0", None, "1"]))
    predictions = Predictions("Binomial", [0.1, 0.6, 0.7, 0.2], ["0", "1", "1", "0"], ("0", "1"))
    assert build_profile(frame, FEATURES, predictions, target="target").baseline == Baseline("accuracy", 2 / 3, 3)


def test_rmse_over_rows_whose_target_is_known() -> None:
    frame = FRAME.with_columns(target=pl.Series(["1", "4", None, "oops"]))
    profile = build_profile(frame, FEATURES, Predictions("Regression", [1.0, 2.0, 3.0, 4.0]), target="target")
    assert profile.baseline == Baseline("rmse", pytest.approx(np.sqrt(2.0)), 2)


@pytest.mark.parametrize("target", [None, "absent"])
def test_without_a_target_there_is_no_baseline(target: str | None) -> None:
    assert build_profile(FRAME, FEATURES, PREDICTIONS, target=target).baseline is None


def test_a_target_of_nothing_but_missing_gives_no_baseline() -> None:
    frame = FRAME.with_columns(target=pl.Series([None] * 4, dtype=pl.String))
    assert build_profile(frame, FEATURES, PREDICTIONS, target="target").baseline is None


def test_importances_of_split_categories_sum_up() -> None:
    table = [
        {"feature": "age", "percentage": 0.5},
        {"feature": "city.Delft", "percentage": 0.25},
        {"feature": "city.missing(NA)", "percentage": 0.125},
        {"feature": "elsewhere", "percentage": 0.125},
    ]
    assert importance_shares(table, FEATURES) == {"age": 0.5, "city": 0.375}
    assert importance_shares(None, FEATURES) == {}
