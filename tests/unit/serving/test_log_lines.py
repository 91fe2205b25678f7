"""Log rows become COPY lines whose fields come apart again as they went in."""

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api.inference_log.rows import LoggedRequest, Masking
from monitoring.store.inference_ids import stamp

ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
payloads = st.dictionaries(st.text(), st.none() | st.text() | st.floats(allow_nan=False, allow_infinity=False))


def unescape(field: str) -> str | None:
    """Read a field as COPY FROM does (PostgreSQL's manual, COPY, text format)."""
    if field == "\\N":
        return None
    parts = field.split("\\")
    text, rest = parts[0], iter(parts[1:])
    for part in rest:
        text += ESCAPES[part[0]] + part[1:] if part else "\\" + next(rest)
    return text


@given(st.lists(st.tuples(st.none() | payloads, st.text(), st.floats(), st.text()), min_size=1, max_size=4))
def test_fields_come_back(rows: list[tuple[Any, str, float, str]]) -> None:
    at = stamp()
    lines = LoggedRequest(
        stamp=at,
        deployment_id="0" * 32,
        status_code=422,
        latency_ms=1.5,
        row_count=len(rows),
        size_bytes=0,
        inputs=[inputs for inputs, _, _, _ in rows],
        predictions=[label for _, label, _, _ in rows],
        scores=[score for _, _, score, _ in rows],
        errors=[error for _, _, _, error in rows],
    ).copy_lines()
    assert lines.endswith(b"\n")
    read = [[unescape(field) for field in line.split("\t")] for line in lines.decode()[:-1].split("\n")]
    assert [fields[2] for fields in read] == [at.row_hex(place) for place in range(len(rows))]
    for (inputs, label, score, error), fields in zip(rows, read, strict=True):
        assert fields[6] is None if inputs is None else json.loads(str(fields[6])) == inputs
        assert fields[7] == label.replace("\0", "?")
        assert (float(str(fields[8])) == score) if math.isfinite(score) else fields[8] is None
        assert fields[10] == error.replace("\0", "?")


@given(
    st.lists(
        st.tuples(
            st.none() | payloads,
            st.none() | st.text(),
            st.none()
            | st.dictionaries(st.text(), st.integers(0, 13) | st.sampled_from(["known", "unseen"]), min_size=1),
        ),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_what_masking_leaves_comes_back(rows: list[tuple[Any, str | None, Any]], is_masked: bool) -> None:
    version = "f" * 32
    masking = Masking(version, [error for _, error, _ in rows], [bins for _, _, bins in rows])
    lines = LoggedRequest(
        stamp=stamp(),
        deployment_id="0" * 32,
        status_code=200,
        latency_ms=1.5,
        row_count=len(rows),
        size_bytes=0,
        inputs=[inputs for inputs, _, _ in rows],
        masking=masking if is_masked else None,
    ).copy_lines()
    read = [[unescape(field) for field in line.split("\t")] for line in lines.decode()[:-1].split("\n")]
    assert {len(fields) for fields in read} == {14}
    for (inputs, error, bins), fields in zip(rows, read, strict=True):
        assert fields[6] is None if inputs is None else json.loads(str(fields[6])) == inputs
        if is_masked:
            assert fields[11] == version
            assert fields[12] == (error if error is None else error.replace("\0", "?"))
            assert (fields[13] and json.loads(fields[13])) == bins
        else:
            assert fields[11:] == [None, None, None]
