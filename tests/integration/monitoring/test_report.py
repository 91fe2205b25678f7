"""Evidently's HTML: it comes out whatever the columns are, and says what we measured."""

import os
import re

import numpy as np
import polars as pl
import pytest

from monitoring.counts import count_batch
from monitoring.measurement import DriftMeasurement, measure
from monitoring.payloads import LogBatch
from monitoring.profile import Predictions, Profile, build_profile
from tests.drift_material import PlainFeature
from tests.drift_reports import render_report

ROWS = 3_000
HOSTILE = '</script><script>alert("gotcha")</script>'
RNG = np.random.default_rng(6)

Sides = tuple[Profile, DriftMeasurement, pl.DataFrame, pl.DataFrame]


def ugly() -> tuple[pl.DataFrame, pl.DataFrame]:
    """A reference and a window where every column is one that Evidently alone aborts on or misreads."""
    number, label = RNG.normal(size=ROWS), RNG.choice(["a", "b"], ROWS)
    none = [None] * ROWS
    columns: dict[str, tuple[object, object, pl.DataType]] = {
        "plain": (number, number + 1, pl.Float64()),
        "constant": ([1.0] * ROWS, [1.0] * ROWS, pl.Float64()),
        "never there": (none, none, pl.Float64()),
        "gone": (number, none, pl.Float64()),
        "come": (none, number, pl.Float64()),
        "infinite": (number, np.where(number > 0, np.inf, number), pl.Float64()),
        "far apart": (number, np.where(number > 0, 1e308, -1e308), pl.Float64()),
        "too near": (number, np.where(number > 0, 1.0, np.nextafter(1.0, 2)), pl.Float64()),
        "great": ([1e18] * ROWS, [1e18] * ROWS, pl.Float64()),
        "truth": (["true", "false"] * (ROWS // 2), ["true"] * ROWS, pl.String()),
        "new label": (label, ["c"] * ROWS, pl.String()),
        "number label": (["1", "2"] * (ROWS // 2), ["2", "1"] * (ROWS // 2), pl.String()),
        "no label": (none, none, pl.String()),
        "many labels": ([f"id{i}" for i in range(ROWS)], [f"id{i + 99}" for i in range(ROWS)], pl.String()),
        "hostile label": (label, [HOSTILE] * ROWS, pl.String()),
        f"hostile {HOSTILE}": (number, number, pl.Float64()),
        "we[ird] 'name\" \\ $": (number, number, pl.Float64()),
        "prediction": (number, number * 2, pl.Float64()),
        "target": (label, label, pl.String()),
        "id": (number, number, pl.Float64()),
    }
    frames = [
        pl.DataFrame([pl.Series(name, values[side], dtype=values[2]) for name, values in columns.items()])
        for side in (0, 1)
    ]
    return frames[0], frames[1]


def measured(reference: pl.DataFrame, current: pl.DataFrame) -> tuple[Profile, DriftMeasurement]:
    features = [
        PlainFeature(name, "numeric" if dtype == pl.Float64 else "categorical")
        for name, dtype in reference.schema.items()
    ]
    labels = RNG.choice(["no", "yes"], reference.height).tolist()
    profile = build_profile(
        reference, features, Predictions("Binomial", RNG.random(reference.height), labels, ("no", "yes"))
    )
    answers = {
        "prediction": ["yes"] * current.height,
        "score": RNG.random(current.height),
        "draw": range(current.height),
    }
    return profile, measure(profile, count_batch(profile, LogBatch(current, pl.DataFrame(answers))))


@pytest.fixture(scope="module")
def sides() -> Sides:
    """Ugly columns measured, with their samples."""
    reference, current = ugly()
    profile, measurement = measured(reference, current)
    scores = pl.Series("prediction_", RNG.random(ROWS))
    return profile, measurement, reference.with_columns(scores), current.with_columns(scores)


@pytest.fixture(scope="module")
def html(sides: Sides) -> str:
    """The report of the ugly columns."""
    return render_report(*sides)


def scores(html: str) -> dict[str, float]:
    """What the report's own table says: PSI by column."""
    rows = re.findall(r'"column_name": "((?:[^"\\]|\\.)*)".*?"drift_score": ([-0-9.e]+)', html)
    return {name.encode().decode("unicode_escape"): float(score) for name, score in rows}


def test_every_column_is_there_with_the_psi_we_measured(sides: Sides, html: str) -> None:
    _, measurement, _, _ = sides
    shown = scores(html)
    expected = {name.replace("<", "\u2039").replace(">", "\u203a"): f.psi for name, f in measurement.features.items()}
    expected["prediction_"] = measurement.prediction.psi
    assert shown == {name: pytest.approx(psi, abs=1e-6) for name, psi in expected.items()}
    assert "PSI on frozen reference bins" in html


def test_names_and_labels_cannot_leave_their_script(html: str) -> None:
    assert "gotcha" in html
    assert HOSTILE not in html
    assert 'alert("gotcha")</script>' not in html


def test_no_usage_statistics_leave(html: str) -> None:
    assert html
    assert os.environ["DO_NOT_TRACK"] == "1"


def test_one_report_after_another_shows_its_own_values(html: str) -> None:
    frame = pl.DataFrame({"plain": RNG.normal(size=500)})
    profile, measurement = measured(frame, frame + 0.5)
    beside = [side.with_columns(prediction=pl.lit(0.5)) for side in (frame, frame + 0.5)]
    shown = scores(render_report(profile, measurement, beside[0], beside[1]))
    assert shown["plain"] == pytest.approx(measurement.features["plain"].psi, abs=1e-6)
    assert shown["plain"] != pytest.approx(scores(html)["plain"], abs=1e-3)


def test_without_rows_there_is_no_report(sides: Sides) -> None:
    profile, measurement, reference, current = sides
    with pytest.raises(ValueError, match="rows on both sides"):
        render_report(profile, measurement, reference, current.head(0))
