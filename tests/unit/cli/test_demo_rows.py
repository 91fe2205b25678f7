"""The demo's rows."""

import json
from pathlib import Path

from api.cli.demo.rows import read_rows, shifted, value_of, write_batches
from api.cli.demo.tables import drift_lines


def test_values_are_read_as_json_carries_them() -> None:
    assert [value_of(text) for text in ("1", "1.5", "", "NA", "b")] == [1, 1.5, None, None, "b"]


def test_rows_come_without_the_target(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("CAPSULE,AGE,PSA\n0,65,1.4\n1,,x\n")
    assert read_rows(tmp_path / "r.csv", target="CAPSULE") == [{"AGE": 65, "PSA": 1.4}, {"AGE": None, "PSA": "x"}]


def test_shifting_touches_numbers_only() -> None:
    assert shifted({"AGE": 60, "PSA": 1.5, "RACE": 1}) == {"AGE": 69, "PSA": 4.5, "RACE": 1}
    assert shifted({"AGE": None, "RACE": 1}) == {"AGE": None, "RACE": 1}


def test_batches_hold_every_row_once(tmp_path: Path) -> None:
    rows = [{"AGE": age} for age in range(250)]
    files = list(write_batches(rows, tmp_path / "demo", "replay"))
    assert [file.name for file in files] == ["replay-1.json", "replay-2.json", "replay-3.json"]
    assert [row for file in files for row in json.loads(file.read_text())["inputs"]] == rows


def test_the_drift_table_puts_the_worst_first() -> None:
    features = {
        "AGE": {"psi": 0.05, "critical_value": 0.06, "missing_share": 0.0, "unseen_share": 0.0, "status": "low"},
        "PSA": {"psi": 0.31, "critical_value": 0.06, "missing_share": 0.5, "unseen_share": None, "status": "high"},
        "RACE": {"psi": None, "critical_value": None, "status": "insufficient_data"},
    }
    lines = list(drift_lines({"features": features}))
    assert [line.split()[0] for line in lines] == ["Feature", "PSA", "AGE", "RACE"]
    assert lines[1].split() == ["PSA", "0.3100", "0.0600", "50.0%", "-", "high"]
