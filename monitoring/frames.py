"""References as typed Polars frames, and as the matrix a scorer takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitoring.features import NUMERIC, FeatureSpec
from monitoring.reference_files import Piece, ReferenceRefused, is_parquet, read_csv
from monitoring.reference_parquet import read_parquet
from monitoring.typed import UnreadableValue, typed_column

__all__ = ["ReferenceLimits", "ReferenceRefused", "read_reference", "reference_matrix"]


@dataclass(frozen=True)
class ReferenceLimits:
    """What a reference may cost: rows, bytes on disk, bytes in memory, bytes of distinct labels in one column."""

    max_rows: int = 1_000_000
    max_bytes: int = 2_000_000_000
    max_frame_bytes: int = 1_000_000_000
    max_label_bytes: int = 8_000_000


def read_reference(
    path: Path,
    features: Sequence[FeatureSpec],
    target: str | None = None,
    limits: ReferenceLimits = ReferenceLimits(),
) -> pl.DataFrame:
    """Read CSV or Parquet as features in model order (Float64, or String in the model's spelling), then the target.

    The target is text and only there when the file has it. Raises ReferenceRefused naming the column and the line
    (CSV, header included) or row (Parquet) at fault.
    """
    if path.stat().st_size > limits.max_bytes:
        raise ReferenceRefused(f"The reference is larger than {limits.max_bytes:,} bytes")
    wanted = [feature.name for feature in features]
    if target is not None and target not in wanted:
        wanted.append(target)
    parquet = is_parquet(path)
    pieces = read_parquet(path, wanted, limits.max_rows) if parquet else read_csv(path, wanted)
    typed: list[pl.DataFrame] = []
    rows = size = 0
    for piece in pieces:
        rows += piece.frame.height
        if rows > limits.max_rows:
            raise ReferenceRefused(f"The reference has more than {limits.max_rows:,} rows: send a sample of it")
        typed.append(_typed(piece, features, target, "row" if parquet else "line"))
        size += int(typed[-1].estimated_size())
        if size > limits.max_frame_bytes:
            raise ReferenceRefused("The reference takes too much memory: send a sample of it")
    if rows == 0:
        raise ReferenceRefused("The reference has no rows")
    frame = pl.concat(typed)
    _check_labels(frame, features, limits.max_label_bytes)
    return frame


def _typed(piece: Piece, features: Sequence[FeatureSpec], target: str | None, counted: str) -> pl.DataFrame:
    missing = [feature.name for feature in features if feature.name not in piece.frame.columns]
    if missing:
        raise ReferenceRefused(f"The reference lacks {_listed(missing)} that the model reads")
    columns = []
    for feature in features:
        try:
            columns.append(typed_column(piece.frame[feature.name], feature).alias(feature.name))
        except UnreadableValue as error:
            place = f"column {feature.name!r}, {counted} {piece.first + error.index}"
            raise ReferenceRefused(f"The reference's {place}: {error.reason}") from error
    if target in piece.frame.columns and target not in {feature.name for feature in features}:
        columns.append(_target_text(piece.frame[target]))
    return pl.DataFrame(columns)


def _target_text(values: pl.Series) -> pl.Series:
    if values.dtype.is_nested() or values.dtype in {pl.Binary, pl.Object}:
        return pl.Series(values.name, [None], dtype=pl.String).new_from_index(0, values.len())
    return values.cast(pl.String)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"column{'s' if len(names) > 1 else ''} {shown}{more}"


def _check_labels(frame: pl.DataFrame, features: Sequence[FeatureSpec], max_bytes: int) -> None:
    for feature in features:
        if feature.type != NUMERIC:
            size = frame[feature.name].unique().str.len_bytes().sum() or 0
            if size > max_bytes:
                raise ReferenceRefused(f"The reference's column {feature.name!r} is free text, not categories")


def reference_matrix(frame: pl.DataFrame, features: Sequence[FeatureSpec]) -> NDArray[np.float64]:
    """Return [rows, features] float64, C-contiguous: numbers as they are, labels as places in the domain, NaN for NA.

    A label outside the domain is NaN too, as the model reads it.
    """
    matrix = np.empty((frame.height, len(features)), dtype=np.float64)
    for position, feature in enumerate(features):
        values = frame[feature.name]
        matrix[:, position] = (values if feature.type == NUMERIC else _codes(values, feature.domain or ())).to_numpy()
    return matrix


def _codes(values: pl.Series, domain: Sequence[str]) -> pl.Series:
    labels = pl.Series(domain, dtype=pl.String)
    return values.replace_strict(labels, pl.Series(range(labels.len()), dtype=pl.Float64), default=None)
