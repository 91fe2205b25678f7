"""Which silence keeps an alert quiet."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.alerting import Muting
from monitoring.silencing import MATCHABLE, SilenceFacts, find_muting

NOW = datetime(2026, 3, 14, 15, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
LABELS = {
    "rule_id": "0195",
    "rule": "Drift of income",
    "deployment_id": "0196",
    "metric": "drift_psi",
    "feature": "income",
    "severity": "critical",
}


def silence(matchers: dict[str, str], *, start: timedelta = -HOUR, end: timedelta = HOUR) -> SilenceFacts:
    return SilenceFacts("s1", matchers, NOW + start, NOW + end)


@pytest.mark.parametrize("field", MATCHABLE)
def test_a_silence_asks_for_any_label_by_its_whole_text(field: str) -> None:
    assert find_muting([silence({field: LABELS[field]})], LABELS, NOW) == Muting("s1", NOW + HOUR)
    for other in (LABELS[field].upper() + "x", LABELS[field][:-1], ""):
        assert find_muting([silence({field: other})], LABELS, NOW) is None


def test_all_its_matchers_have_to_be_met() -> None:
    assert find_muting([silence({"metric": "drift_psi", "severity": "critical"})], LABELS, NOW)
    assert find_muting([silence({"metric": "drift_psi", "severity": "info"})], LABELS, NOW) is None


def test_a_label_that_is_missing_or_unknown_is_met_by_nothing() -> None:
    assert find_muting([silence({"feature": "income"})], {**LABELS, "feature": None}, NOW) is None
    assert find_muting([silence({"feature": ""})], {**LABELS, "feature": None}, NOW) is None
    assert find_muting([silence({"colour": "red"})], LABELS, NOW) is None


def test_one_without_matchers_covers_everything() -> None:
    assert find_muting([silence({})], LABELS, NOW)


@pytest.mark.parametrize(
    ("start", "end", "holds"),
    [(timedelta(0), HOUR, True), (timedelta(microseconds=1), HOUR, False), (-HOUR, timedelta(0), False)],
)
def test_it_holds_from_its_start_to_just_before_its_end(start: timedelta, end: timedelta, holds: bool) -> None:
    assert (find_muting([silence({}, start=start, end=end)], LABELS, NOW) is not None) == holds


@given(
    stretches=st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 9), st.sampled_from(["critical", "info"]))),
)
def test_of_several_the_one_that_ends_last_is_named(stretches: list[tuple[int, int, str]]) -> None:
    silences = [
        SilenceFacts(f"s{number}", {"severity": severity}, NOW + start * HOUR, NOW + (start + length) * HOUR)
        for number, (start, length, severity) in enumerate(stretches)
    ]
    ends = [
        start + length
        for start, length, severity in stretches
        if severity == "critical" and start <= 0 < start + length
    ]
    found = find_muting(silences, LABELS, NOW)
    assert (found and found.ends_at) == (NOW + max(ends) * HOUR if ends else None)
    assert found == find_muting(reversed(silences), LABELS, NOW)
