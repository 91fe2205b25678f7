"""A reference file as it lies: CSV told from Parquet by content, and CSV read in bounded pieces."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
from pyarrow import csv as arrow_csv

HEAD_BYTES = 1 << 20
_BLOCK_BYTES = 8 << 20
SEPARATORS = ",;\t|"
_NOT_TEXT = {
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"\xd0\xcf\x11\xe0": "an Excel file",
}


class ReferenceRefused(ValueError):
    """The reference cannot be used; the text says what is wrong, with column and line where there is one."""


@dataclass(frozen=True)
class Piece:
    """Some rows of the file; `first` is the number a person would give its first row (CSV: header is line 1)."""

    frame: pl.DataFrame
    first: int


def foreign_format(head: bytes) -> str | None:
    """Name what a file's first bytes say it is instead of a table, such as `a zip archive`; None: nothing known."""
    return next((kind for magic, kind in _NOT_TEXT.items() if head.startswith(magic)), None)


def is_parquet(path: Path) -> bool:
    """Tell Parquet from text by content; ReferenceRefused when it is plainly neither."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"PAR1"):
        return True
    if not head.strip():
        raise ReferenceRefused("The reference is empty")
    kind = foreign_format(head)
    if kind is not None:
        raise ReferenceRefused(f"The reference is {kind}; send CSV (UTF-8) or Parquet as it is")
    if b"\0" in head:
        raise ReferenceRefused("The reference is neither CSV (UTF-8) nor Parquet")
    return False


def read_csv(path: Path, wanted: Sequence[str]) -> Iterator[Piece]:
    """Yield the wanted columns (those the file has) as text; ReferenceRefused names the line that cannot be read."""
    header, separator, skipped = _header(path, wanted)
    _refuse_open_quote(path, separator)
    names = [f"{position}" for position in range(len(header))]
    places = {name: str(header.index(name)) for name in wanted if name in header}
    first = skipped + 1
    try:
        reader = arrow_csv.open_csv(
            path,
            read_options=arrow_csv.ReadOptions(
                use_threads=False,  # only then do errors name their row
                block_size=_BLOCK_BYTES,
                column_names=names,
                skip_rows_after_names=skipped,
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(places.values()), column_types=dict.fromkeys(names, pa.string())
            ),
        )
        for batch in reader:
            yield Piece(
                pl.DataFrame(pl.from_arrow(batch)).rename({place: name for name, place in places.items()}), first
            )
            first += batch.num_rows
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise ReferenceRefused(f"The reference cannot be read as CSV: {_plain(error)}") from error


def _header(path: Path, wanted: Sequence[str]) -> tuple[list[str], str, int]:
    """Return the column names, the separator, and how many records stand before the first row."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    text = head.decode("utf-8-sig", errors="replace")
    candidates = [(_first_record(text, separator), separator) for separator in SEPARATORS]
    (header, blanks, has_rows), separator = max(
        candidates, key=lambda found: (len(set(found[0][0]) & set(wanted)), len(found[0][0]))
    )
    if not has_rows:
        raise ReferenceRefused("The reference has a header but no rows")
    twice = [name for name in wanted if header.count(name) > 1]
    if twice:
        raise ReferenceRefused(f"The reference has column {twice[0]!r} more than once")
    return header, separator, blanks + 1


def _first_record(text: str, separator: str) -> tuple[list[str], int, bool]:
    blanks = 0
    header: list[str] = []
    try:
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            if header and record:
                return header, blanks, True
            if record:
                header = [name.strip() for name in record]
            elif not header:
                blanks += 1
    except csv.Error:  # e.g. a field cut by the end of the head: what counts is what came before
        pass
    return header, blanks, False


def _refuse_open_quote(path: Path, separator: str) -> None:
    """Refuse a quote that is never closed: Arrow would read the rest of the file as one value."""
    with path.open("rb") as file:
        quotes = sum(block.count(b'"') for block in iter(lambda: file.read(HEAD_BYTES), b""))
    if quotes % 2 == 0:
        return
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        records = csv.reader(text, delimiter=separator, strict=True)
        start = 1
        try:
            for _ in records:
                start = records.line_num + 1
        except csv.Error as error:
            if "end of data" in str(error) or "field larger" in str(error):
                raise ReferenceRefused(f"The reference opens a quote in line {start} and never closes it") from error


def _plain(error: Exception) -> str:
    return str(error).replace("CSV parse error: ", "").replace("Row #", "line ").split("\n")[0][:200]
