"""From rows to a measurement, against an oracle that knows nothing of ours but the edges."""

import json
import math
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.bins import NumericBins
from monitoring.counts import WindowCounts, count_batch, fold
from monitoring.measurement import bin_shares, measure
from monitoring.payloads import LogBatch, decode_inputs
from monitoring.profile import Predictions, Profile, build_profile
from monitoring.samples import WindowSample, read_sample, reference_sample
from tests.drift_material import PlainFeature, twenty_columns, twenty_features

RNG = np.random.default_rng(8)


def batch(frame: pl.DataFrame, score: float = 0.5, first_draw: int = 0, skipped: int = 0) -> LogBatch:
    draws = range(first_draw, first_draw + frame.height)
    answers = {"prediction": ["yes"] * frame.height, "score": [score] * frame.height, "draw": draws}
    return LogBatch(
        frame, pl.DataFrame(answers, {"prediction": pl.String, "score": pl.Float64, "draw": pl.Int64}), skipped
    )


def profile_of(frame: pl.DataFrame) -> Profile:
    scores = np.linspace(0, 1, frame.height)
    predictions = Predictions("Binomial", scores, ["yes"] * frame.height, ("no", "yes"))
    return build_profile(frame, twenty_features(), predictions, importance={"n00": 0.5})


def oracle(edges: tuple[float, ...], expected: list[float | None], actual: list[float | None]) -> float:
    """PSI over equal edges, value by value."""
    sides = []
    for values in (expected, actual):
        counts = [0] * (len(edges) + 3)
        for value in values:
            counts[-2 if value is None else sum(value > edge for edge in edges)] += 1
        shares = [count / len(values) or 1e-4 for count in counts]
        sides.append([share / sum(shares) for share in shares])
    return sum((a - e) * math.log(a / e) for e, a in zip(*sides, strict=True))


def test_every_numeric_feature_agrees_with_the_oracle() -> None:
    reference, later = twenty_columns(3_000, seed=1), twenty_columns(700, seed=2, shift=0.4)
    later = later.with_columns(n01=pl.when(pl.col("n00") > 0.5).then("n01"), n02=pl.lit(1e9))
    profile = profile_of(reference)
    measurement = measure(profile, count_batch(profile, batch(later)))
    for feature in profile.features[:14]:
        assert isinstance(feature.binned.bins, NumericBins)
        by_hand = oracle(feature.binned.bins.edges, reference[feature.name].to_list(), later[feature.name].to_list())
        assert measurement.features[feature.name].psi == pytest.approx(by_hand, abs=1e-9)
    assert measurement.features["n01"].missing_share == later["n01"].null_count() / 700


def test_the_same_rows_have_no_drift() -> None:
    reference = twenty_columns(500, seed=1)
    profile = profile_of(reference)
    measurement = measure(profile, count_batch(profile, batch(reference)))
    assert {drift.psi for drift in measurement.features.values()} == {0.0}
    assert (measurement.overall_status, measurement.overall_psi) == ("low", 0.0)


@given(st.lists(st.integers(0, 300), max_size=6))
def test_counts_of_parts_are_counts_of_the_whole_in_any_order(cuts: list[int]) -> None:
    later = twenty_columns(300, seed=3)
    profile = profile_of(twenty_columns(200, seed=1))
    bounds = [0, *sorted(cuts), 300]
    parts = [batch(later[a:b], skipped=1) for a, b in pairwise(bounds)]
    counts, _ = fold(profile, reversed(parts))
    whole = count_batch(profile, batch(later, skipped=len(parts)))
    assert (counts.rows, counts.skipped) == (whole.rows, whole.skipped)
    assert all((a == b).all() for a, b in zip(counts.features, whole.features, strict=True))
    assert counts.score is not None
    assert (counts.score == whole.score).all()
    assert measure(profile, counts) == measure(profile, whole)


@pytest.mark.parametrize("rows", [0, 1, 99, 100])
def test_under_a_hundred_rows_every_status_is_insufficient_data(rows: int) -> None:
    profile = profile_of(twenty_columns(400, seed=1))
    measurement = measure(profile, count_batch(profile, batch(twenty_columns(rows, seed=2, shift=3.0))))
    assert measurement.inference_rows == rows
    expected = "high" if rows == 100 else "insufficient_data"
    assert {measurement.overall_status, measurement.prediction.status, measurement.features["n00"].status} == {expected}
    assert (measurement.overall_psi is None) == (rows == 0)
    assert (measurement.features["n00"].psi is None) == (rows == 0)


def test_the_json_has_what_the_contract_names_and_no_more() -> None:
    reference = twenty_columns(500, seed=1)
    profile = profile_of(reference)
    measurement = measure(profile, count_batch(profile, batch(reference)))
    features = measurement.features_json()
    measured = ["psi", "status", "critical_value", "missing_share", "unseen_share"]
    assert list(features["n00"]) == [*measured, "p_value", "q_value", "importance"]
    assert (features["n00"]["importance"], features["n01"]["importance"]) == (0.5, None)
    shares = measurement.prediction_json()["labels"]
    assert shares == {"yes": {"expected": 1.0, "actual": 1.0}, "no": {"expected": 0.0, "actual": 0.0}}


def test_ugly_columns_behave() -> None:
    rows = 400
    features = [
        PlainFeature("constant", "numeric"),
        PlainFeature("empty", "numeric"),
        PlainFeature("filled", "numeric"),
        PlainFeature("id", "categorical"),
        PlainFeature("new", "categorical", ("a", "b")),
        PlainFeature("blank", "categorical"),
    ]
    schema = {f.name: pl.Float64 if f.type == "numeric" else pl.String for f in features}
    reference = pl.DataFrame(
        {
            "constant": [1.0] * rows,
            "empty": [None] * rows,
            "filled": [None] * rows,
            "id": [f"id{place}" for place in range(rows)],
            "new": ["a", "b"] * (rows // 2),
            "blank": [None] * rows,
        },
        schema,
    )
    later = reference.with_columns(filled=pl.lit(3.0), new=pl.lit("c"), id=pl.col("id") + "x")
    profile = build_profile(reference, features, Predictions("Regression", RNG.random(rows)))
    drift = measure(profile, count_batch(profile, batch(later))).features
    assert (drift["constant"].psi, drift["empty"].psi, drift["blank"].psi) == (0.0, 0.0, 0.0)
    assert drift["empty"].critical_value == 0.0
    assert drift["empty"].missing_share == 1.0
    assert drift["filled"].status == "high"
    assert (drift["new"].status, drift["new"].unseen_share) == ("high", 1.0)
    assert drift["id"].unseen_share == 1.0


def test_chart_bins_carry_shares_and_upper_edges() -> None:
    frame = twenty_columns(1_000, seed=1)
    profile = profile_of(frame)
    counts = count_batch(profile, batch(frame))
    numeric = bin_shares(profile.features[0].binned, counts.features[0])
    assert sum(entry["actual"] for entry in numeric) == pytest.approx(1)
    assert [entry["upper"] for entry in numeric[-3:]] == [None, None, None]
    assert "upper" not in bin_shares(profile.features[-1].binned, counts.features[-1])[0]
    assert bin_shares(profile.features[0].binned, WindowCounts.empty(profile).features[0])[0]["actual"] is None


def test_multinomial_predictions_drift_by_label() -> None:
    features = [PlainFeature("x", "numeric")]
    frame = pl.DataFrame({"x": [1.0] * 200})
    labels = ["a"] * 100 + ["b"] * 100
    profile = build_profile(frame, features, Predictions("Multinomial", [0.9] * 200, labels, ("a", "b", "c")))
    answers = pl.DataFrame({"prediction": ["c"] * 200, "score": [0.9] * 200, "draw": range(200)})
    measurement = measure(profile, count_batch(profile, LogBatch(frame, answers)))
    assert measurement.prediction.status == "high"
    assert measurement.overall_status == "low"  # the features alone decide
    assert measurement.prediction_json()["labels"]["c"] == {"expected": 0.0, "actual": 1.0}


@given(st.permutations(range(30)), st.integers(1, 30))
def test_the_sample_is_the_same_whatever_the_order_of_rows(order: list[int], size: int) -> None:
    features = [PlainFeature("x", "numeric")]
    sample = WindowSample(features, "Regression", rows=size)
    for start in range(0, 30, 7):
        places = order[start : start + 7]
        answers = {"prediction": [None] * len(places), "score": [float(p) for p in places], "draw": places}
        sample.add(LogBatch(pl.DataFrame({"x": [float(p) for p in places]}), pl.DataFrame(answers)))
    kept = sample.frame()
    assert kept is not None
    assert kept["x"].to_list() == [float(place) for place in range(size)]
    assert kept["prediction"].to_list() == kept["x"].to_list()


def test_the_reference_sample_is_bounded_repeatable_and_carries_the_answers() -> None:
    frame = pl.DataFrame({"x": RNG.random(9_000), "prediction": ["feature"] * 9_000})
    features = [PlainFeature("x", "numeric"), PlainFeature("prediction", "categorical")]
    predictions = Predictions("Regression", frame["x"].to_numpy() * 2)
    drawn = read_sample(reference_sample(frame, features, predictions))
    assert drawn.columns == ["x", "prediction", "prediction_"]
    assert drawn.height == 5_000
    assert (drawn["prediction_"] == drawn["x"] * 2).all()
    assert drawn.equals(read_sample(reference_sample(frame, features, predictions)))


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                "c": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
                "extra": st.integers(),
            },
        ),
        max_size=30,
    )
)
def test_canonical_rows_come_back_from_json_as_they_were(rows: list[dict[str, float | str | None]]) -> None:
    texts = pl.Series([json.dumps(row) for row in rows], dtype=pl.String)
    frame = decode_inputs(texts, [PlainFeature("x", "numeric"), PlainFeature("c", "categorical")])
    assert frame.rows() == [(row.get("x"), row.get("c")) for row in rows]


def test_the_mean_is_weighted_by_importance_where_there_is_one() -> None:
    reference, later = twenty_columns(800, seed=1), twenty_columns(400, seed=2, shift=0.8)
    predictions = Predictions("Binomial", np.linspace(0, 1, 800), ["yes"] * 800, ("no", "yes"))
    importance = {"n00": 0.75, "n01": 0.25}
    weighing = build_profile(reference, twenty_features(), predictions, importance=importance)
    measurement = measure(weighing, count_batch(weighing, batch(later)))
    psis = {name: drift.psi or 0.0 for name, drift in measurement.features.items()}
    assert measurement.weighted_psi == pytest.approx(0.75 * psis["n00"] + 0.25 * psis["n01"])
    assert measurement.overall_psi == pytest.approx(sum(psis.values()) / 20)
    plain = build_profile(reference, twenty_features(), predictions)
    assert measure(plain, count_batch(plain, batch(later))).weighted_psi is None


def test_drifted_features_are_those_of_small_q_values() -> None:
    reference, later = twenty_columns(2_000, seed=1), twenty_columns(600, seed=2)
    profile = profile_of(reference)
    later = later.with_columns(pl.col("n03") + 1.0)
    measurement = measure(profile, count_batch(profile, batch(later)))
    assert measurement.drifted_features == ["n03"]
    assert all((drift.p_value or 0) <= (drift.q_value or 0) for drift in measurement.features.values())
    few = measure(profile, count_batch(profile, batch(later[:99])))
    assert few.drifted_features == []
