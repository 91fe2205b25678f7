"""Inference ids carry their instant and their place."""

import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitoring.store.inference_ids import MAX_BATCH_ROWS, instant_of, stamp

instants = st.integers(min_value=0, max_value=2**47 * 1000)


@given(instants, st.integers(min_value=0, max_value=MAX_BATCH_ROWS - 1))
def test_the_instant_in_an_id_is_exact_to_the_microsecond(instant_us: int, place: int) -> None:
    if instant_us > 250_000_000_000_000_000:  # beyond what datetime holds
        instant_us %= 250_000_000_000_000_000
    made = stamp(instant_us)
    row_id = uuid.UUID(made.row_hex(place))
    assert row_id.version == 7
    assert row_id.variant == uuid.RFC_4122
    assert (
        instant_of(row_id) == made.created_at == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant_us)
    )


@given(instants, instants)
def test_ids_sort_as_their_instants(first_us: int, second_us: int) -> None:
    first, second = sorted((first_us, second_us))
    if first < second:
        assert stamp(first).row_hex(MAX_BATCH_ROWS - 1) < stamp(second).row_hex(0)


def test_the_rows_of_a_batch_are_in_order_and_share_a_request_id_that_is_no_row() -> None:
    made = stamp()
    rows = [made.row_hex(place) for place in range(MAX_BATCH_ROWS)]
    assert rows == sorted(set(rows))
    assert made.request_id.hex not in rows
    assert made.request_id.version == 7


def test_two_requests_of_one_instant_differ() -> None:
    assert stamp(1_000).row_hex(0) != stamp(1_000).row_hex(0)


def test_all_ways_of_writing_ids_agree() -> None:
    made = stamp()
    assert [uuid.UUID(text).hex for text in made.row_ids(20)] == [made.row_hex(place) for place in range(20)]
    assert [digits.decode() for digits in made.row_digits(20)] == [made.row_hex(place) for place in range(20)]
