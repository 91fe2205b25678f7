"""Prediction bodies: both readers read the same, and faults are named."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import Invalid
from api.predict_body import PredictBody, read_body, read_large_body

values = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text()
finite = values.filter(lambda value: value not in (float("inf"), float("-inf")))
rows = st.dictionaries(st.text(), finite, max_size=5)
options = st.fixed_dictionaries({}, optional={"store_payload": st.booleans(), "routing_key": st.none() | st.text()})


@given(rows | st.lists(rows, max_size=5), st.none() | options)
def test_both_readers_read_what_was_sent(inputs: Any, chosen: Any) -> None:
    raw = json.dumps({"inputs": inputs, "options": chosen}).encode()
    body = read_body(raw)
    large = read_large_body(raw)
    assert body.rows == large.rows == (inputs if isinstance(inputs, list) else [inputs])
    assert body.is_list == large.is_list == isinstance(inputs, list)
    assert body.options == large.options
    assert body.options.store_payload == (chosen or {}).get("store_payload", True)


@pytest.mark.parametrize("read", [read_body, read_large_body])
@pytest.mark.parametrize("literal", ["NaN", "-Infinity", "1e999", "9" * 5000])
def test_numbers_out_of_range_are_left_to_the_encoder_with_a_doubt(read: Any, literal: str) -> None:
    body: PredictBody = read(f'{{"inputs": [{{"x": 1}}, {{"x": {literal}}}]}}'.encode())
    assert len(body.rows) == 2
    assert isinstance(body.doubt, Invalid)


@pytest.mark.parametrize("read", [read_body, read_large_body])
@pytest.mark.parametrize(
    "raw", [b"", b"nonsense", b"[]", b'{"inputs": 1}', b'{"inputs": [1]}', b"\xff", b"[" * 100_000]
)
def test_what_cannot_be_read_is_invalid(read: Any, raw: bytes) -> None:
    with pytest.raises(Invalid):
        read(raw)


@pytest.mark.parametrize("read", [read_body, read_large_body])
@given(raw=st.binary())
def test_no_bytes_do_anything_but_read_or_refuse(read: Any, raw: bytes) -> None:
    with suppress(Invalid):
        assert isinstance(read(raw), PredictBody)
