from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from api.privacy.catalogue import CATALOGUE
from api.privacy.detection import Detector
from api.privacy.keccak import keccak_256
from api.privacy.normal_form import normalise
from api.privacy.payment_cards import is_card_number, is_luhn_valid

ALL = Detector(CATALOGUE, column_map={}, threshold=0.0)
STRICT = Detector(CATALOGUE, column_map={}, threshold=0.5)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text(max_size=5), max_size=3)
)
LIKELY = st.text("0123456789 -./:@+ABCDEXYZabcdef<%^=", max_size=80)
EXAMPLES = st.sampled_from([pii_type.example for pii_type in CATALOGUE.values()])


@given(st.text(max_size=30), st.one_of(VALUES, LIKELY, EXAMPLES))
def test_any_value_of_any_column_gives_ordered_spans_within_it(column: str, value: object) -> None:
    found = ALL.find(column, value)
    assert all(0 <= finding.start < finding.end <= len(str(value)) for finding in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert all(0 <= finding.score <= 1 and finding.pii_type in CATALOGUE for finding in found)


@given(st.lists(st.one_of(LIKELY, EXAMPLES, st.text(max_size=20)), max_size=6))
def test_any_text_gives_ordered_spans_within_it(parts: list[str]) -> None:
    text = " ".join(parts)
    found = ALL.find_in_text(text)
    assert all(0 <= finding.start < finding.end <= len(text) for finding in found)
    assert all(one.end <= other.start for one, other in pairwise(found))


@given(st.text(max_size=40), st.text(max_size=40))
def test_an_address_between_any_words_is_found_where_it_stands(before: str, after: str) -> None:
    text = f"{before} jane.sample@example.com {after}"
    start = len(before) + 1
    assert any(one.start <= start and one.end >= start + 23 for one in STRICT.find_in_text(text))


@given(st.text())
def test_a_normal_form_keeps_every_position(text: str) -> None:
    form = normalise(text)
    assert form.span_in_text(0, len(form.data))[1] == len(text) or not form.data
    positions = [form.span_in_text(place, place + 1) for place in range(len(form.data))]
    assert all(0 <= start <= end <= len(text) for start, end in positions)
    assert positions == sorted(positions)


@given(st.integers(10**11, 10**19).map(str))
def test_luhn_is_stdnum_s(digits: str) -> None:
    assert is_luhn_valid(digits) == luhn.is_valid(digits)
    assert is_luhn_valid(digits) or not is_card_number(digits)


def test_keccak_is_the_published_one() -> None:
    assert keccak_256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak_256(b"abc").hex() == "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"
