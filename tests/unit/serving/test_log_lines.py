"""Log rows become COPY lines whose fields come apart again as they went in."""

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api.inference_log.rows import LoggedRequest
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
