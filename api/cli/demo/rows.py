"""The demo's rows: the reference as JSON records, and the same people some years on."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
YEARS_OLDER = 9
PSA_FACTOR = 3.0


def read_rows(reference: Path, *, target: str) -> list[Row]:
    """Return the reference's rows without the target: numbers as numbers, empty fields as null."""
    with reference.open(newline="") as file:
        records = csv.DictReader(file)
        return [{name: value_of(text) for name, text in each.items() if name != target} for each in records]


def value_of(text: str) -> float | str | None:
    """Return a CSV field as JSON would carry it."""
    if text in {"", "NA"}:
        return None
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def shifted(row: Row) -> Row:
    """Return a row as a drifted population would send it: older people with a higher PSA."""
    older = {**row}
    if isinstance(row.get("AGE"), int | float):
        older["AGE"] = row["AGE"] + YEARS_OLDER
    if isinstance(row.get("PSA"), int | float):
        older["PSA"] = round(row["PSA"] * PSA_FACTOR, 2)
    return older


def write_batches(rows: Sequence[Row], folder: Path, name: str, *, size: int = 100) -> Iterator[Path]:
    """Write request bodies of `size` rows each, so that a curl line can send the same; yield the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(rows), size), start=1):
        path = folder / f"{name}-{number}.json"
        path.write_text(json.dumps({"inputs": rows[start : start + size]}))
        yield path
