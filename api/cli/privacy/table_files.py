"""A table in a file of anybody's, CSV or Parquet, read in pieces of bounded size."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
from pyarrow import parquet

from monitoring.reference_files import HEAD_BYTES, SEPARATORS, foreign_format

PIECE_ROWS = 8_192
_NO_NUMBER = r"^\s*(\+|-?0[0-9])"  # a leading zero or plus is part of what names somebody


@dataclass(frozen=True)
class TableFile:
    """What is in the file: how many rows, which columns, and a way to read them piece by piece."""

    rows: int
    columns: tuple[str, ...]
    has_header: bool
    read: Callable[[], Iterator[pl.DataFrame]]


def open_table(path: Path, is_value: Callable[[str], bool], *, limit: int | None = None) -> TableFile:
    """Tell CSV from Parquet by content and look at its head; ValueError when it is neither or damaged.

    `is_value` says of a CSV's first fields whether one is a value rather than a name: then the file has no header, and
    columns are called by their number. `limit` is the number of rows to read at most.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"PAR1"):
        return _parquet(path, limit)
    _refuse_other_formats(path, head)
    return _csv(path, head, is_value, limit)


def _refuse_other_formats(path: Path, head: bytes) -> None:
    if not head.strip():
        raise ValueError(f"{path} is empty")
    kind = foreign_format(head)
    if kind is not None:
        raise ValueError(f"{path} is {kind}: CSV (UTF-8) and Parquet can be looked at")
    if b"\0" in head:
        raise ValueError(f"{path} is neither CSV (UTF-8) nor Parquet")


def _csv(path: Path, head: bytes, is_value: Callable[[str], bool], limit: int | None) -> TableFile:
    separator, fields = _first_fields(head.decode("utf-8-sig", errors="replace"))
    has_header = not any(is_value(field) for field in fields)
    table = pl.scan_csv(
        path,
        separator=separator,
        has_header=has_header,
        infer_schema=False,  # decided piece by piece, by all values
        truncate_ragged_lines=True,
        encoding="utf8-lossy",
        n_rows=limit,
        glob=False,
    )
    with _readable(path):
        rows = int(table.select(pl.len()).collect().item())
        names = tuple(table.collect_schema())
    columns = names if has_header else tuple(f"column {place}" for place in range(1, len(names) + 1))
    return TableFile(rows, columns, has_header, lambda: _csv_pieces(path, table))


def _first_fields(text: str) -> tuple[str, list[str]]:
    """Return the separator that cuts the first line into most fields, and those fields."""
    found: list[tuple[str, list[str]]] = []
    for separator in SEPARATORS:
        try:
            fields = next(csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=separator), [])
        except csv.Error:  # a field larger than any name: this is not the separator
            fields = []
        found.append((separator, fields))
    return max(found, key=lambda each: len(each[1]))


def _csv_pieces(path: Path, table: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    with _readable(path):
        for piece in table.collect_batches(chunk_size=PIECE_ROWS, maintain_order=False, engine="streaming"):
            yield piece.with_columns(_numbers(values) for values in piece.iter_columns())


def _numbers(values: pl.Series) -> pl.Series:
    """Return a column of nothing but numbers as such: text of figures says more about people than a number does."""
    if values.str.contains(_NO_NUMBER).any():
        return values
    for dtype in (pl.Int64, pl.Float64):
        cast = values.cast(dtype, strict=False)
        if cast.null_count() == values.null_count():
            return cast
    return values


def _parquet(path: Path, limit: int | None) -> TableFile:
    with _readable(path), parquet.ParquetFile(path) as file:
        rows, columns = int(file.metadata.num_rows), tuple(file.schema_arrow.names)
    wanted = rows if limit is None else min(rows, limit)
    return TableFile(wanted, columns, has_header=True, read=lambda: _parquet_pieces(path, wanted))


def _parquet_pieces(path: Path, wanted: int) -> Iterator[pl.DataFrame]:
    """Read by Arrow: on a damaged file Polars' reader can end the whole process, which no `except` catches."""
    with _readable(path), parquet.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(PIECE_ROWS, use_threads=False):
            if not wanted:
                return
            batch.validate(full=True)  # text that is no UTF-8 would be undefined behaviour further on
            yield pl.DataFrame(pl.from_arrow(batch.slice(0, wanted)))
            wanted -= min(wanted, batch.num_rows)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what readers raise into a ValueError without the file's own text in it: that may be what nobody may see."""
    try:
        yield
    except (pl.exceptions.PolarsError, pa.ArrowException, UnicodeDecodeError, pl.exceptions.PanicException) as error:
        raise ValueError(f"{path} cannot be read as a table ({type(error).__name__})") from error
