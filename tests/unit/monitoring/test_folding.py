"""Sums of minutes: those of any split of the rows add up to those of the whole, and to what a window counts."""

import json
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.bins import label_bins
from monitoring.counts import WindowCounts, count_batch
from monitoring.folding import count_minutes, fold_minutes
from monitoring.latency import LatencyHistogram
from monitoring.payloads import LogBatch, WholeBatch, decode_masked
from monitoring.profile import Category, Predictions, Profile, build_profile
from monitoring.slices import Sums
from monitoring.store.rollup_rows import add_up, decode, encode, pack, unpack
from tests.drift_material import CITIES, PlainFeature

FEATURES = [PlainFeature("age", "numeric"), PlainFeature("city", "categorical", CITIES)]
START = datetime(2026, 3, 14, 23, 58, tzinfo=UTC)
FOLDED = uuid.UUID(int=1)
STATUSES = (200, 200, 422, 200, 500, 200, 200)  # of a request, by its second
Row = tuple[int, dict[str, Any] | None, dict[str, Any] | None, str | None, float | None]

ages = st.none() | st.floats(allow_nan=False, allow_infinity=False)
cities = st.none() | st.sampled_from([*CITIES, "Fano"])
inputs = st.none() | st.fixed_dictionaries({"age": ages, "city": cities})
masked = st.none() | st.fixed_dictionaries(
    {}, optional={"age": st.integers(-1, 14), "city": st.sampled_from(["known", "unseen", "missing", "odd"])}
)
labels = st.none() | st.sampled_from(["no", "yes", "perhaps"])
scores = st.none() | st.floats(0, 1)
row = st.tuples(st.integers(0, 200), inputs, masked, labels, scores)
rows = st.lists(row, max_size=30)


def _profile(category: Category) -> Profile:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"age": rng.normal(40, 12, 500), "city": rng.choice(CITIES, 500, p=[0.5, 0.2, 0.1, 0.1, 0.1])})
    said = None if category == "Regression" else rng.choice(["no", "yes"], 500).tolist()
    return build_profile(frame, FEATURES, Predictions(category, rng.random(500), said, ("no", "yes")))


PROFILES = {category: _profile(category) for category in ("Binomial", "Multinomial", "Regression")}


def _batch(whole: Sequence[Row]) -> WholeBatch:
    """Return rows as the log gives them: seconds after START, each second one request."""
    frame = pl.DataFrame(
        {
            "created_at": [START + timedelta(seconds=row[0]) for row in whole],
            "request": [row[0] for row in whole],
            "status_code": [STATUSES[row[0] % 7] for row in whole],
            "latency_ms": [0.5 + row[0] for row in whole],
            "inputs": [None if row[1] is None else json.dumps(row[1]) for row in whole],
            "bins": [None if row[2] is None else json.dumps(row[2]) for row in whole],
            "prediction": [row[3] for row in whole],
            "score": [row[4] for row in whole],
        },
        schema_overrides={
            "created_at": pl.Datetime("us", "UTC"),
            "request": pl.Int64,
            "status_code": pl.Int16,
            "latency_ms": pl.Float32,
            "inputs": pl.String,
            "bins": pl.String,
            "prediction": pl.String,
            "score": pl.Float64,
        },
    )
    answered = frame.filter(pl.col("status_code") == 200)
    shown, bare = answered.filter(pl.col("inputs").is_not_null()), answered.filter(pl.col("inputs").is_null())
    decoded, bins = decode_masked(shown["inputs"], shown["bins"], FEATURES)
    answer = ("prediction", "score", "created_at")
    log = LogBatch(decoded, shown.select(answer), bare.height, bare.select(answer), bins)
    return WholeBatch(frame.select("created_at", "request", "status_code", "latency_ms"), log)


def _plain(sums: dict[datetime, Sums]) -> dict[datetime, Any]:
    """Return sums as what compares."""
    return {
        minute: (its.log_rows, dict(its.statuses), its.requests, its.failed, its.latency, _vector(its.counts))
        for minute, its in sums.items()
    }


def _vector(counts: WindowCounts | None) -> list[int] | None:
    return None if counts is None else counts.to_vector().tolist()


@pytest.mark.parametrize("category", PROFILES)
@settings(max_examples=40)
@given(whole=rows, cuts=st.lists(st.integers(0, 30), max_size=4), order=st.randoms())
def test_any_split_adds_up_to_the_whole(category: str, whole: list[Row], cuts: list[int], order: Any) -> None:
    profile = PROFILES[category]
    shuffled = list(whole)
    order.shuffle(shuffled)
    ends = [0, *sorted(cuts), len(shuffled)]
    parts = [_batch(shuffled[start:end]) for start, end in pairwise(ends)]
    together = fold_minutes(profile, [_batch(whole)])
    assert _plain(fold_minutes(profile, parts)) == _plain(together)
    total = reduce(Sums.__add__, together.values(), Sums(counts=WindowCounts.empty(profile)))
    assert _vector(total.counts) == count_batch(profile, _batch(whole).answered).to_vector().tolist()


@settings(max_examples=40)
@given(whole=rows)
def test_a_minute_has_its_rows_by_status_its_requests_and_their_latencies(whole: list[Row]) -> None:
    found = fold_minutes(None, [_batch(whole)])
    minutes = {START + timedelta(minutes=row[0] // 60) for row in whole}
    assert list(found) == sorted(minutes)
    for minute in minutes:
        its = [row for row in whole if START + timedelta(minutes=row[0] // 60) == minute]
        requests = {row[0] for row in its}
        sums = found[minute]
        assert sums.counts is None
        assert sums.log_rows == len(its)
        assert sums.statuses == Counter(STATUSES[row[0] % 7] for row in its)
        assert sums.requests == len(requests)
        assert sums.latency == LatencyHistogram.of(0.5 + second for second in requests)


def test_nothing_makes_no_minute() -> None:
    assert fold_minutes(PROFILES["Binomial"], []) == {}
    assert fold_minutes(PROFILES["Binomial"], [_batch([])]) == {}
    assert count_minutes(PROFILES["Binomial"], _batch([]).answered)[0] == []


@given(st.lists(st.none() | st.sampled_from([*CITIES, "Fano", ""]), max_size=20))
def test_places_of_labels_count_as_the_labels_do(values: list[str | None]) -> None:
    bins = label_bins(pl.Series([*CITIES, *CITIES[:3]]), ["Fano"], top=3)
    series = pl.Series(values, dtype=pl.String)
    assert np.bincount(bins.positions(series), minlength=bins.size).tolist() == bins.count(series).tolist()


@given(st.lists(st.integers(0, 2**62) | st.integers(0, 70_000) | st.integers(0, 300)))
def test_packed_counts_come_back(counts: list[int]) -> None:
    assert unpack(pack(np.array(counts, dtype=np.int64))).tolist() == counts


@settings(max_examples=40)
@given(whole=rows)
def test_slices_come_back_from_their_rows_and_add_up(whole: list[Row]) -> None:
    profile = PROFILES["Binomial"]
    found = fold_minutes(profile, [_batch(whole)])
    stored = [encode(FOLDED, 1, minute, sums, folded_at=START) for minute, sums in found.items()]
    assert _plain(dict(zip(found, [decode(one, profile) for one in stored], strict=True))) == _plain(found)
    total = reduce(Sums.__add__, found.values(), Sums())
    assert _plain({START: add_up(stored, profile)}) == _plain({START: total})
    assert all(decode(one, None).counts is None for one in stored)
