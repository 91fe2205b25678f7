"""Spool segments that were cut off or damaged: what reads is what was written, and the rest is found behind it."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.inference_log.records import LaterVersion, encode_header, encode_record, read_header, read_records
from monitoring.store.spool_replay import SpooledRequest

SEGMENT, WORKER = uuid.UUID(int=1), uuid.UUID(int=2)
HEADER = encode_header(SEGMENT, WORKER, "deployment_id, id")


def a_record(number: int, lines: bytes = b"") -> SpooledRequest:
    return SpooledRequest(f"{number:032x}", 1_700_000_000_000_000 + number, 200, 1, lines or b"%d\t\\N\n" % number)


REQUESTS = [a_record(number, b"x" * (7 * number)) for number in range(1, 9)]
RECORDS = [encode_record(request, SEGMENT) for request in REQUESTS]
DATA = HEADER + b"".join(RECORDS)
ENDS = [len(HEADER) + sum(map(len, RECORDS[: place + 1])) for place in range(len(RECORDS))]


def read(data: bytes) -> tuple[list[SpooledRequest], int]:
    """Return the requests of a segment and how many stretches do not read."""
    _, begin = read_header(data)
    found = list(read_records(data, begin, SEGMENT))
    if found:
        assert found[-1].end == len(data)
    return [each.request for each in found if each.request], sum(each.request is None for each in found)


def test_a_whole_segment_reads_as_written() -> None:
    header, begin = read_header(DATA)
    assert header is not None
    assert (header.segment_id, header.worker_id, header.columns) == (SEGMENT.bytes, WORKER.bytes, "deployment_id, id")
    assert begin == len(HEADER)
    assert read(DATA) == (REQUESTS, 0)


@given(st.integers(0, len(DATA)))
def test_a_tail_cut_off_anywhere_loses_only_the_record_it_cuts(length: int) -> None:
    whole = sum(end <= length for end in ENDS)
    is_clean = length in {0, len(HEADER), *ENDS}
    assert read(DATA[:length]) == (REQUESTS[:whole], 0 if is_clean else 1)


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_byte_changed_anywhere_loses_only_the_record_it_is_in(place: int, change: int) -> None:
    data = bytearray(DATA)
    data[place] ^= change
    hit = next((number for number, end in enumerate(ENDS) if len(HEADER) <= place < end), None)
    kept = REQUESTS if hit is None else REQUESTS[:hit] + REQUESTS[hit + 1 :]
    assert read(bytes(data)) == (kept, 1)


@given(st.data())
def test_stretches_overwritten_never_make_a_record_that_was_not_written(data: st.DataObject) -> None:
    damaged = bytearray(DATA)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(DATA) - 1))
        damaged[place : place + 40] = data.draw(st.binary(min_size=1, max_size=80))
    found, torn = read(bytes(damaged))
    assert [request for request in found if request not in REQUESTS] == []
    assert found == [request for request in REQUESTS if request in found]
    assert torn > 0 or found == REQUESTS


def test_a_record_of_another_segment_is_none_here() -> None:
    """What a disk kept of an older file must not be replayed again."""
    stray = encode_record(a_record(99), uuid.UUID(int=77))
    assert read(HEADER + RECORDS[0] + stray + RECORDS[1]) == (REQUESTS[:2], 1)


def test_a_record_inside_a_rows_text_is_not_found_when_its_own_is_damaged() -> None:
    """A caller's text may hold anything that is text: no record begins there."""
    inner = encode_record(a_record(5), SEGMENT)
    with pytest.raises(UnicodeDecodeError):
        inner.decode()
    as_text = encode_record(a_record(6, inner.decode("utf-8", "replace").encode()), SEGMENT)
    damaged = as_text[:-1] + bytes([as_text[-1] ^ 1])
    assert read(HEADER + damaged + RECORDS[0]) == (REQUESTS[:1], 1)


def test_a_later_format_is_left_alone() -> None:
    with pytest.raises(LaterVersion):
        read_header(
            bytes.fromhex(
                "fffe504853504f4f4c29000000e71d681094c41000000000000000000000000000000001c41000000000000000000000000000000002a2696402"
            )
        )
