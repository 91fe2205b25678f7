"""What lies in a home's spool, read from the files alone: beside running processes, or when none runs."""

import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from api.inference_log.records import LaterVersion, read_header, read_records, segment_id_of


@dataclass(frozen=True)
class Survey:
    """Rows that wait in segments (those of a segment half replayed too), and records that do not read."""

    rows: int = 0
    segments: int = 0
    torn_records: int = 0
    refused_files: int = 0


def survey(spool: Path) -> Survey | None:
    """Read the spool of a home, of all its processes; None when there is none, or it may not be read.

    The last record of a file being written may be read half, and counts as torn.
    """
    rows = segments = torn = refused = 0
    try:
        for folder in spool.iterdir():
            refused += len([*folder.glob("refused/*.rec")])
            for path in folder.glob("*.seg"):
                with suppress(FileNotFoundError):  # replayed just now
                    found_rows, found_torn = _read(path)
                    rows, torn, segments = rows + found_rows, torn + found_torn, segments + 1
    except OSError:
        return None
    return Survey(rows, segments, torn, refused)


def _read(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    try:
        header, begin = read_header(data)
        own = segment_id_of(uuid.UUID(path.parent.name), path.name)
    except (LaterVersion, ValueError):
        return 0, 1
    found = [*read_records(data, begin, own if header is None else uuid.UUID(bytes=header.segment_id))]
    return sum(each.request.row_count for each in found if each.request), sum(each.request is None for each in found)
