"""What was backed up comes back: every table, every value, of one instant."""

import uuid
from datetime import timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlmodel import Session

from monitoring.store.database import Database
from monitoring.store.dump import Dump, SchemaOutdated
from monitoring.store.dump_format import MANIFEST, BackupUnusable, Manifest, Member, encode
from monitoring.store.ids import new_id
from monitoring.store.migrate import upgrade
from monitoring.store.partitions import create_partition
from monitoring.store.restoring import NotEmpty, opened_backup
from monitoring.store.rollup_tables import RollupMark
from tests.integration.backup.everything import NOW, Files, content, fill
from tests.integration.store.test_deletion import furnish


def untold(what: str, share: float) -> None:
    assert what
    assert 0 <= share <= 1


def back_up(database: Database, path: Path, files: Files | None = None) -> Manifest:
    return Dump(database, files or Files(), release="0.1.0", now=NOW).write(path, privacy_key=None, tell=untold)


def restore(path: Path, url: str) -> Database:
    database = Database(url)
    with opened_backup(path) as backup:
        backup.verify(untold)
        backup.load(database, untold)
    return database


def test_every_row_of_every_table_comes_back_as_it_was(database: Database, empty_url: str, tmp_path: Path) -> None:
    fill(database)
    before = content(database)
    assert all(before.values())
    manifest = back_up(database, tmp_path / "b.zip")
    assert manifest.rows == sum(map(len, before.values()))
    assert (tmp_path / "b.zip").stat().st_mode & 0o777 == 0o600
    restored = restore(tmp_path / "b.zip", empty_url)
    assert content(restored) == before
    with restored.transaction() as session:  # numbers go on after the largest
        mark = RollupMark(deployment_id=uuid.uuid4(), minute=NOW)
        session.add(mark)
        session.flush()
        assert mark.id is not None
        assert mark.id > 1
    restored.close()


def test_the_backup_is_of_one_instant(database: Database, empty_url: str, tmp_path: Path) -> None:
    """What commits before the snapshot is in it, with its new partition; what commits after it is not."""

    def add(days: int) -> None:
        with database.transaction() as session:
            create_partition(session, (NOW + timedelta(days=days)).date())
            add_row(session, days)

    def add_row(session: Session, days: int) -> None:
        values = {"id": new_id(), "at": NOW + timedelta(days=days)}
        session.execute(text(f"INSERT INTO inference_log ({COLUMNS}) VALUES (:id, :at, :id, :id, 200, 1)"), values)
        session.execute(text("INSERT INTO inference_count VALUES (:id, :at, 200, 1)"), values)

    back_up(database, tmp_path / "b.zip", Files({}, lambda: add(0), lambda: add(20)))
    restored = restore(tmp_path / "b.zip", empty_url)
    with restored.transaction() as session:
        for table in ("inference_log", "inference_count"):
            assert session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 1
    restored.close()


COLUMNS = "deployment_id, created_at, id, request_id, status_code, latency_ms"


def test_a_backup_of_an_older_schema_is_brought_up_to_date(empty_url: str, database: Database, tmp_path: Path) -> None:
    with database.transaction() as session:
        furnish(session)
    back_up(database, tmp_path / "now.zip")
    older = Database(empty_url)
    with older.transaction() as session:
        upgrade(session.connection(), "0003")
        there = session.execute(text("SELECT table_name, column_name FROM information_schema.columns")).all()
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    columns = {(table, column) for table, column in there}
    rewrite(tmp_path / "now.zip", tmp_path / "then.zip", revision="0003", columns=columns)
    restored = restore(tmp_path / "then.zip", empty_url)
    assert content(restored) == content(database)
    older.close()
    restored.close()


def test_tables_that_are_not_the_schemas_leave_the_database_empty(
    empty_url: str, database: Database, tmp_path: Path
) -> None:
    back_up(database, tmp_path / "whole.zip")
    rewrite(tmp_path / "whole.zip", tmp_path / "b.zip", revision="0003", columns={("project", "id")})
    with pytest.raises(BackupUnusable, match="not those of its schema"):
        restore(tmp_path / "b.zip", empty_url)
    restore(tmp_path / "whole.zip", empty_url).close()
    with pytest.raises(NotEmpty, match="holds tables already"):
        restore(tmp_path / "whole.zip", empty_url)


def test_only_a_database_of_this_schema_is_backed_up(empty_url: str, tmp_path: Path) -> None:
    database = Database(empty_url)
    with pytest.raises(SchemaOutdated, match="pilothouse migrate"):
        back_up(database, tmp_path / "b.zip")
    assert list(tmp_path.iterdir()) == []
    database.close()


def rewrite(source: Path, target: Path, *, revision: str, columns: set[tuple[str, str]]) -> None:
    """Write a backup as an earlier schema would have made it: with these columns only."""
    with opened_backup(source) as backup, ZipFile(target, "w") as archive:
        tables = []
        for table in backup.manifest.tables:
            kept = [name for name in table.columns if (table.name, name) in columns]
            if not kept:
                continue
            member = Member(archive, table.member, NOW)
            places = [table.columns.index(name) for name in kept]
            for line in b"".join(backup.read(table)).splitlines(keepends=True):
                fields = line.rstrip(b"\n").split(b"\t")
                member.write(b"\t".join(fields[place] for place in places) + b"\n")
            sha256 = member.close()
            tables.append(replace(table, columns=kept, bytes=member.bytes, sha256=sha256))
        manifest = replace(backup.manifest, revision=revision, tables=tables)
        archive.writestr(MANIFEST, encode(manifest))
