"""Windows with masked values: the bins that were kept beside them measure as the values would have."""

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.bins import LabelBins, NumericBins
from monitoring.counts import WindowCounts, count_batch, fold
from monitoring.masked import KNOWN_OR_NOT, count_masked
from monitoring.measurement import measure
from monitoring.payloads import LogBatch, decode_masked
from monitoring.profile import Predictions, Profile, build_profile
from tests.drift_material import CITIES, PlainFeature

FEATURES = [PlainFeature("age", "numeric"), PlainFeature("city", "categorical", CITIES)]
ages = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30)
cities = st.none() | st.sampled_from([*CITIES, "Fano"])
rows = st.lists(st.tuples(ages, cities, st.booleans(), st.booleans()), min_size=1, max_size=40)
stand_ins = st.sampled_from(["[AGE]", "40-49", "", "12", None])


def profile() -> Profile:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {"age": rng.normal(40, 12, 2_000), "city": rng.choice(CITIES, 2_000, p=[0.5, 0.2, 0.1, 0.1, 0.1])}
    )
    return build_profile(frame, FEATURES, Predictions("Regression", rng.random(2_000)))


PROFILE = profile()
AGE_BINS, CITY_BINS = (feature.binned.bins for feature in PROFILE.features)


def bin_of(name: str, value: Any) -> Any:
    """What the predict path keeps of a value, by the bins' own counting."""
    if name == "age":
        assert isinstance(AGE_BINS, NumericBins)
        return int(AGE_BINS.positions(pl.Series([value], dtype=pl.Float64))[0])
    return "known" if value in CITIES else "unseen"


def batch(inputs: list[dict[str, Any]], bins: list[dict[str, Any] | None]) -> LogBatch:
    decoded, kept = decode_masked(
        pl.Series([json.dumps(row) for row in inputs], dtype=pl.String),
        pl.Series([row and json.dumps(row) for row in bins], dtype=pl.String),
        FEATURES,
    )
    answers = pl.DataFrame(
        {"prediction": [None] * len(inputs), "score": [0.5] * len(inputs), "draw": range(len(inputs))},
        {"prediction": pl.String, "score": pl.Float64, "draw": pl.Int64},
    )
    return LogBatch(decoded, answers, bins=kept)


def masked(values: dict[str, Any], hidden: set[str], stand_in: Any) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """A row as the log has it with some of its values masked."""
    bins = {name: bin_of(name, values[name]) for name in hidden if values[name] is not None}
    shown = {name: value if name not in bins else stand_in for name, value in values.items()}
    return {name: value for name, value in shown.items() if value is not None}, bins or None


@given(rows, stand_ins)
def test_masked_rows_count_as_the_raw_ones(drawn: list[tuple[Any, Any, bool, bool]], stand_in: Any) -> None:
    raw = [{"age": age, "city": city} for age, city, _, _ in drawn]
    hidden = [
        masked(row, {n for n, h in (("age", a), ("city", c)) if h}, stand_in)
        for row, (_, _, a, c) in zip(raw, drawn, strict=True)
    ]

    plain = count_batch(
        PROFILE, batch([{k: v for k, v in row.items() if v is not None} for row in raw], [None] * len(raw))
    )
    counted = count_batch(PROFILE, batch([row for row, _ in hidden], [bins for _, bins in hidden]))

    assert counted.features[0].tolist() == plain.features[0].tolist()
    known = int(counted.known[1])
    assert counted.features[1][-2:].tolist() == plain.features[1][-2:].tolist()
    assert counted.features[1][:-2].sum() + known == plain.features[1][:-2].sum()
    assert counted.masked.tolist() == [
        sum(1 for row, (_, _, a, c) in zip(raw, drawn, strict=True) if (a, c)[place] and row[name] is not None)
        for place, name in enumerate(("age", "city"))
    ]


def window(rows: int, *, hide: float, seed: int = 2) -> tuple[list[dict[str, Any]], list[dict[str, Any] | None]]:
    """Rows older than the reference and mostly of one city, the first `hide` of them masked in both features."""
    rng = np.random.default_rng(seed)
    people = [
        {"age": float(age), "city": str(city)}
        for age, city in zip(rng.normal(46, 12, rows), rng.choice(["Aachen", "Fano"], rows, p=[0.9, 0.1]), strict=True)
    ]
    told = [
        masked(row, {"age", "city"} if place < hide * rows else set(), "[MASKED]") for place, row in enumerate(people)
    ]
    return [row for row, _ in told], [bins for _, bins in told]


@pytest.mark.parametrize("hide", [0.005, 0.5, 1.0])
def test_a_masked_number_has_the_same_psi_to_the_last_bit(hide: float) -> None:
    plain = measure(PROFILE, count_batch(PROFILE, batch(*window(1_000, hide=0))))
    hidden = measure(PROFILE, count_batch(PROFILE, batch(*window(1_000, hide=hide))))
    assert plain.features["age"].psi is not None
    assert plain.features["age"].psi > 0.1
    assert hidden.features["age"].psi == plain.features["age"].psi
    assert hidden.features["age"].critical_value == plain.features["age"].critical_value
    assert hidden.features["age"].masked_share == pytest.approx(hide)
    assert hidden.features_json()["age"]["masked_share"] == pytest.approx(hide)
    assert "masked_share" not in hidden.prediction_json()


def test_masked_labels_are_measured_as_known_missing_unseen() -> None:
    plain = measure(PROFILE, count_batch(PROFILE, batch(*window(1_000, hide=0)))).features["city"]
    hidden = measure(PROFILE, count_batch(PROFILE, batch(*window(1_000, hide=1)))).features["city"]
    half = measure(PROFILE, count_batch(PROFILE, batch(*window(1_000, hide=0.5)))).features["city"]
    assert hidden.psi is not None
    assert plain.psi is not None
    assert 0.25 < hidden.psi < plain.psi  # the unseen tenth alone is high; which known city it is, nobody sees
    assert hidden.unseen_share == plain.unseen_share
    assert half.psi == hidden.psi


def test_a_few_masked_labels_leave_the_others_their_bins() -> None:
    plain = measure(PROFILE, count_batch(PROFILE, batch(*window(1_000, hide=0)))).features["city"]
    few = measure(PROFILE, count_batch(PROFILE, batch(*window(1_000, hide=0.01)))).features["city"]
    assert few.psi == pytest.approx(plain.psi, rel=0.02)
    assert few.masked_share == pytest.approx(0.01)


def test_bins_add_up_over_batches_with_and_without_masking() -> None:
    inputs, bins = window(300, hide=0.5)
    whole = count_batch(PROFILE, batch(inputs, bins))
    parts = [batch(inputs[start : start + 100], bins[start : start + 100]) for start in (0, 100, 200)]
    assert parts[2].bins is None
    summed, sample = fold(PROFILE, parts)
    assert isinstance(summed, WindowCounts)
    assert [counts.tolist() for counts in summed.features] == [counts.tolist() for counts in whole.features]
    assert summed.known.tolist() == whole.known.tolist()
    assert sample is not None


def test_the_sample_shows_masked_features_by_their_bins_only() -> None:
    inputs, bins = window(200, hide=0.1)
    _, sample = fold(PROFILE, [batch(inputs, bins)])
    assert sample is not None
    assert sample.columns == ["age", "city", "prediction"]
    assert sample["city"].dtype == KNOWN_OR_NOT
    assert set(sample["age"].to_list()) <= set(AGE_BINS.names)
    expected = [AGE_BINS.names[bin_of("age", row["age"])] for row in window(200, hide=0)[0]]
    assert sample["age"].to_list() == expected


def test_a_bin_that_does_not_exist_counts_as_unseen() -> None:
    counts, _ = count_masked(AGE_BINS, pl.Series([-1, 99, 0, None], dtype=pl.Int64))
    assert (counts[-1], counts[0], counts.sum()) == (2, 1, 3)
    assert isinstance(CITY_BINS, LabelBins)
    assert count_masked(CITY_BINS, pl.Series(["strange", "missing", "known"], dtype=pl.String))[0].tolist()[-2:] == [
        1,
        1,
    ]
