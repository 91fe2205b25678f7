"""Rows exported before they are let go: the file holds them all, is read back, and only what it holds may go."""

import hashlib
import json
import traceback
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from sqlalchemy import text
from sqlmodel import select

from monitoring import log_archive
from monitoring.log_archive import without_credentials
from monitoring.store.database import Database
from monitoring.store.exports import ExportFailed, export_rows
from monitoring.store.ledger_tables import LogExport
from monitoring.store.retention import DayKept, ExpiredDay, LetGo
from tests.integration.retention.days import DAY, Subject, find, fold, go, one, removed, replay_marks
from tests.integration.rollups.log import label

_ALL = "SELECT * FROM inference_log ORDER BY deployment_id, created_at, id"


@pytest.fixture
def subject(database: Database) -> Subject:
    return Subject(database, days=3)


@pytest.fixture
def rows(database: Database, subject: Subject) -> list[uuid.UUID]:
    """A folded day's rows."""
    logged = subject.log(DAY)
    fold(database)
    return logged


def only(database: Database) -> ExpiredDay:
    (expired,) = find(database)
    return expired


def log_rows(database: Database) -> list[dict[str, Any]]:
    with database.transaction() as session:
        return [dict(row) for row in session.execute(text(_ALL)).mappings()]


def test_the_file_holds_every_column_of_every_row(
    database: Database, subject: Subject, rows: list[uuid.UUID], tmp_path: Path
) -> None:
    logged, day = log_rows(database), only(database).day
    export = export_rows(database, str(tmp_path / "to"), subject.project_id, day)
    folder = tmp_path / "to" / str(subject.project_id)
    file = folder / f"{day}.parquet"
    frame = pl.read_parquet(file).sort("deployment_id", "created_at", "inference_id")
    assert [uuid.UUID(found) for found in frame["inference_id"]] == [row["id"] for row in logged]
    assert frame["created_at"].to_list() == [row["created_at"] for row in logged]
    assert [found and json.loads(found) for found in frame["inputs"]] == [row["inputs"] for row in logged]
    for name in ("status_code", "score", "prediction", "error"):
        assert frame[name].to_list() == [row[name] for row in logged], name
    assert frame["actual_label"].count() == subject.count()[2] > 0
    assert (export.rows, export.part, export.address) == (len(rows), 1, f"file://{file}")
    assert export.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    manifest = json.loads((folder / f"{day}.json").read_text())
    assert manifest["rows"] == len(rows)
    assert manifest["sha256"] == export.sha256
    assert [column["name"] for column in manifest["columns"]] == pl.read_parquet(file).columns
    assert {path.name for path in folder.iterdir()} == {f"{day}.parquet", f"{day}.json"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_exported_rows_go_and_the_file_is_recorded(
    database: Database, subject: Subject, rows: list[uuid.UUID], tmp_path: Path
) -> None:
    expired = only(database)
    export = export_rows(database, str(tmp_path), subject.project_id, expired.day)
    assert go(database, expired, [export]) == LetGo(len(rows), is_dropped=True)
    with database.transaction() as session:
        (kept,) = session.exec(select(LogExport))
    assert (kept.project_id, kept.day, kept.part) == (subject.project_id, expired.day, 1)
    assert (kept.rows, kept.sha256, kept.address) == (len(rows), export.sha256, export.address)


def test_rows_or_feedback_that_came_after_the_export_keep_the_day(
    database: Database, subject: Subject, rows: list[uuid.UUID], tmp_path: Path
) -> None:
    expired = only(database)
    export = export_rows(database, str(tmp_path), subject.project_id, expired.day)
    with pytest.raises(DayKept, match="not those that were exported"):
        go(database, expired, [])
    answered = next(row["id"] for row in log_rows(database) if row["status_code"] == 200)
    with database.transaction() as session:
        session.execute(text("DELETE FROM feedback"))
    label(database, subject.deployment_id, [answered], "no", DAY)
    fold(database)
    with pytest.raises(DayKept, match="not those that were exported"):
        go(database, expired, [export])
    more = subject.log(DAY, hours=1, seed=8)
    replay_marks(database)
    fold(database)
    with pytest.raises(DayKept, match="not those that were exported"):
        go(database, expired, [export])
    assert removed(database) == 0
    again = export_rows(database, str(tmp_path), subject.project_id, expired.day)
    assert (again.part, again.rows) == (1, len(rows) + len(more))
    assert go(database, expired, [again]).rows == len(rows) + len(more)


@pytest.mark.usefixtures("rows")
def test_rows_that_come_after_their_day_had_gone_get_a_file_of_their_own(
    database: Database, subject: Subject, tmp_path: Path
) -> None:
    expired = only(database)
    go(database, expired, [export_rows(database, str(tmp_path), subject.project_id, expired.day)])
    first = (tmp_path / str(subject.project_id) / f"{expired.day}.parquet").read_bytes()
    late = subject.log(DAY.replace(hour=12, minute=1), hours=1, seed=6)
    late += subject.log(DAY, hours=1, seed=6)  # of a minute whose slice holds more rows, those that have gone
    replay_marks(database)
    fold(database)
    assert only(database) == expired
    export = export_rows(database, str(tmp_path), subject.project_id, expired.day)
    assert (export.part, export.rows) == (2, len(late))
    assert export.address.endswith(f"{expired.day}-2.parquet")
    assert go(database, expired, [export]) == LetGo(len(late), is_dropped=True)
    assert (tmp_path / str(subject.project_id) / f"{expired.day}.parquet").read_bytes() == first
    assert one(database, "SELECT count(*) FROM log_export") == 2


def test_a_day_that_is_not_folded_is_not_exported(database: Database, subject: Subject, tmp_path: Path) -> None:
    subject.log(DAY)
    with pytest.raises(DayKept, match="not folded"):
        export_rows(database, str(tmp_path), subject.project_id, only(database).day)
    assert list(tmp_path.iterdir()) == []


class Lossy(MemoryFileSystem):
    """A store that gives back other bytes than it was given, by one bit."""

    protocol = "lossy"
    store: dict[str, Any] = {}  # noqa: RUF012 - the parent class keeps it so
    pseudo_dirs = [""]  # noqa: RUF012

    def _open(self, path: str, mode: str = "rb", **more: Any) -> Any:
        file = super()._open(path, mode, **more)
        if mode == "rb":
            file.getbuffer()[100] ^= 1
        return file


def test_any_fsspec_address_serves_and_what_is_not_there_afterwards_is_noticed(
    database: Database, subject: Subject, rows: list[uuid.UUID]
) -> None:
    expired = only(database)
    export = export_rows(database, "memory://logs", subject.project_id, expired.day)
    with fsspec.open(export.address, "rb") as file:
        assert hashlib.sha256(file.read()).hexdigest() == export.sha256
    fsspec.register_implementation("lossy", Lossy)
    with pytest.raises(ExportFailed, match="other bytes"):
        export_rows(database, "lossy://logs", subject.project_id, expired.day)
    assert [path for path in Lossy.store if path.endswith(".json")] == []
    assert subject.count()[0] == len(rows)


@pytest.mark.usefixtures("rows")
def test_a_manifest_never_stands_beside_a_file_that_is_not_whole(
    database: Database, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = only(database).day
    export_rows(database, "memory://again", subject.project_id, day)
    name = f"/again/{subject.project_id}/{day}"
    assert MemoryFileSystem.store.keys() >= {f"{name}.parquet", f"{name}.json"}
    monkeypatch.setattr(log_archive, "fingerprint", lambda _: 1 / 0)  # breaks off in the middle of writing it again
    with pytest.raises(ExportFailed, match="ZeroDivisionError"):
        export_rows(database, "memory://again", subject.project_id, day)
    assert f"{name}.json" not in MemoryFileSystem.store


@pytest.mark.usefixtures("rows")
def test_an_export_that_fails_says_why_and_no_password(database: Database, subject: Subject, tmp_path: Path) -> None:
    day = only(database).day
    (tmp_path / "taken").write_text("a file, where a folder is wanted")
    with pytest.raises(ExportFailed, match=f"{day} of project .* could not be exported: FileExistsError|NotADirectory"):
        export_rows(database, str(tmp_path / "taken"), subject.project_id, day)
    address = "ftp://me:s3cret@127.0.0.1:1/logs"
    with pytest.raises(ExportFailed, match="ConnectionRefusedError") as failed:
        export_rows(database, address, subject.project_id, day)
    assert "s3cret" not in "".join(traceback.format_exception(failed.value))
    told = without_credentials("Cannot reach ftp://me:s3@cret@host/a or s3://key@bucket/a@b")
    assert told == "Cannot reach ftp://********@host/a or s3://********@bucket/a@b"


def test_projects_of_a_day_are_exported_each_for_itself(
    database: Database, rows: list[uuid.UUID], tmp_path: Path
) -> None:
    other = Subject(database, days=2)
    theirs = other.log(DAY, seed=4)
    fold(database)
    expired = only(database)
    assert expired.day == date(2026, 3, 10)
    exports = [export_rows(database, str(tmp_path), one_of, expired.day) for one_of in expired.project_ids]
    assert sorted(export.rows for export in exports) == sorted([len(rows), len(theirs)])
    with pytest.raises(DayKept, match="not those that were exported"):
        go(database, expired, exports[:1])
    assert go(database, expired, exports) == LetGo(len(rows) + len(theirs), is_dropped=True)
