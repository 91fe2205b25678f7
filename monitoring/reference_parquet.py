"""A Parquet reference read in bounded pieces, whatever is in the file.

By Arrow: on a damaged file Polars' reader can end the whole process, which no `except` catches.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
from pyarrow import compute, parquet

from monitoring.reference_files import Piece, ReferenceRefused
from monitoring.typed import MAX_TEXT_BYTES

_ROWS = 16_384


def read_parquet(path: Path, wanted: Sequence[str], max_rows: int) -> Iterator[Piece]:
    """Yield the wanted columns (those the file has) with their own types; ReferenceRefused when damaged or too long."""
    try:
        with parquet.ParquetFile(path) as file:
            columns = _columns(file, wanted, max_rows)
            paths = {file.metadata.schema.column(place).path for place in range(file.metadata.num_columns)}
        # texts as dictionaries: a megabyte repeated a million times stays a megabyte until it is looked at
        texts = [name for name in columns if name in paths]
        with parquet.ParquetFile(path, read_dictionary=texts, page_checksum_verification=True) as file:
            first = 1
            for batch in file.iter_batches(_ROWS, columns=columns, use_threads=False):
                batch.validate(full=True)  # text that is no UTF-8 would be undefined behaviour further on
                _refuse_long_texts(batch)
                yield Piece(pl.DataFrame(pl.from_arrow(batch)), first)
                first += batch.num_rows
    except (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError, pl.exceptions.PanicException) as error:
        raise ReferenceRefused(f"The reference cannot be read as Parquet: {str(error)[:200]}") from error


def _columns(file: parquet.ParquetFile, wanted: Sequence[str], max_rows: int) -> list[str]:
    rows = file.metadata.num_rows
    if rows > max_rows:
        raise ReferenceRefused(f"The reference has {rows:,} rows, more than {max_rows:,}: send a sample of it")
    schema = file.schema_arrow
    twice = [name for name in wanted if len(schema.get_all_field_indices(name)) > 1]
    if twice:
        raise ReferenceRefused(f"The reference has column {twice[0]!r} more than once")
    return [name for name in wanted if name in schema.names]


def _refuse_long_texts(batch: pa.RecordBatch) -> None:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        texts = column.dictionary if pa.types.is_dictionary(column.type) else column
        if pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type):
            longest = compute.max(compute.binary_length(texts)).as_py() or 0
            if longest > MAX_TEXT_BYTES:
                raise ReferenceRefused(f"The reference's column {name!r} is free text, not categories")
