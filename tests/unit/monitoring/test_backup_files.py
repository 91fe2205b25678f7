"""A damaged backup is found out, whatever the damage, and never taken for a whole one."""

import io
from datetime import UTC, datetime
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from monitoring.store.dump_format import (
    FORMAT,
    MANIFEST,
    BackupUnusable,
    FileFacts,
    Manifest,
    Member,
    TableFacts,
    encode,
)
from monitoring.store.migrate import head_revision
from monitoring.store.restoring import opened_backup

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROWS = b"".join(b"%d\ttext %d\n" % (number, number * 7919) for number in range(300))


def whole(**said: object) -> bytes:
    """Return an archive with one table and one file."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        table = Member(archive, "tables/t.copy", NOW)
        table.write(ROWS)
        facts = TableFacts("t", ["a", "b"], 300, len(ROWS), table.close())
        file = Member(archive, "home/privacy.key", NOW)
        file.write(b"key")
        key = FileFacts("privacy.key", 3, file.close())
        manifest = Manifest(FORMAT, "0.1.0", head_revision(), NOW, [], None, tables=[facts], files=[key])
        archive.writestr(MANIFEST, encode(replace(manifest, **said)))
    return buffer.getvalue()


WHOLE = whole()


def read(data: bytes) -> bytes:
    """Verify an archive and return its rows."""
    with opened_backup(io.BytesIO(data)) as backup:
        backup.verify(lambda _what, _share: None)
        (table,) = backup.manifest.tables
        return b"".join(backup.read(table))


def test_a_whole_one_is_read() -> None:
    assert read(WHOLE) == ROWS


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_a_changed_byte_is_found_or_changes_nothing(at: int, by: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= by
    try:
        found = read(bytes(damaged))
    except BackupUnusable:
        return
    assert found == ROWS


@given(st.integers(0, len(WHOLE) - 1))
@settings(max_examples=50)
def test_a_cut_one_is_refused(length: int) -> None:
    with pytest.raises(BackupUnusable):
        read(WHOLE[:length])


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"format": 2}, "format 2"),
        ({"revision": "9999"}, "schema 9999, which this version does not know"),
        ({"tables": []}, "does not hold what its manifest names"),
        ({"tables": [TableFacts("t", ["a"], 300, len(ROWS), "0" * 64)]}, "tables/t.copy is not what was written"),
        ({"tables": [TableFacts('t"; DROP TABLE t', ["a"], 0, 0, "")]}, "cannot be ours"),
        ({"days": ["yesterday"]}, "cannot be read"),
    ],
)
def test_a_manifest_that_is_not_understood_is_refused(said: dict[str, object], why: str) -> None:
    with pytest.raises(BackupUnusable, match=why):
        read(whole(**said))
