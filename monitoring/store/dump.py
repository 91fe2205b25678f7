"""Write a backup: every table as one instant saw it, while everything keeps running."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import psycopg
from psycopg import sql
from sqlmodel import SQLModel

import monitoring.store.alert_tables
import monitoring.store.ledger_tables
import monitoring.store.privacy_tables
import monitoring.store.rollup_tables
import monitoring.store.tables  # noqa: F401
from monitoring.store.database import Database
from monitoring.store.dump_format import (
    FORMAT,
    MANIFEST,
    PIECE_BYTES,
    FileFacts,
    HomeFiles,
    Manifest,
    Member,
    TableFacts,
    Tell,
    encode,
)
from monitoring.store.migrate import head_revision
from monitoring.store.partitions import partition_days

_Connection = psycopg.Connection[tuple[Any, ...]]
_WORDS = "-c TimeZone=UTC -c DateStyle=ISO -c bytea_output=hex -c extra_float_digits=1 -c client_encoding=UTF8"
_SIZES = """
SELECT coalesce(whole.relname, part.relname), sum(pg_table_size(part.oid))
FROM pg_class part LEFT JOIN pg_inherits ON inhrelid = part.oid LEFT JOIN pg_class whole ON whole.oid = inhparent
WHERE part.relnamespace = current_schema()::regnamespace AND part.relkind = 'r' GROUP BY 1
"""
_PARTITIONS = """
SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'inference_log'::regclass
"""


class SchemaOutdated(RuntimeError):
    """The database is not at this version's schema."""


class Dump:
    """A backup being made of a database and the files of a home, by `release` at `now`."""

    def __init__(self, database: Database, files: HomeFiles, *, release: str, now: datetime) -> None:
        self._url = database.url
        self._files = files
        self._release = release
        self._now = now

    def write(self, path: Path, *, privacy_key: str | None, tell: Tell) -> Manifest:
        """Write the archive whole or not at all, for its owner only.

        Raises FileExistsError, SchemaOutdated, psycopg.Error. No prediction, flow or new partition waits for its locks;
        a migration and a drop of old partitions do.
        """
        with _new_file(path) as partial, ZipFile(partial, "w") as archive, self._snapshot() as connection:
            tables = list(self._copy_tables(connection, archive, tell))
            files = list(self._copy_files(archive))
            days = partition_days(name for (name,) in connection.execute(_PARTITIONS))
            manifest = Manifest(
                FORMAT, self._release, head_revision(), self._now, days, privacy_key, tables=tables, files=files
            )
            archive.writestr(MANIFEST, encode(manifest))
        return manifest

    @contextmanager
    def _snapshot(self) -> Iterator[_Connection]:
        """Yield a connection that sees one instant; files are gathered on both sides of it.

        What leaves a spool for the database meanwhile is then in the one, the other or both, never in neither.
        """
        with psycopg.connect(self._url, options=_WORDS, autocommit=True) as connection:
            require_head(connection)
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            self._files.gather()
            with connection.transaction():
                # locks first: they take no snapshot, and what they hold cannot be dropped once there is one
                names = sql.SQL(", ").join(sql.Identifier(name) for name in table_columns())
                connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
                require_head(connection)
                self._files.gather()
                yield connection

    def _copy_tables(self, connection: _Connection, archive: ZipFile, tell: Tell) -> Iterator[TableFacts]:
        sizes: dict[str, Any] = dict(connection.execute(_SIZES).fetchall())
        total, done = float(sum(sizes.values())) or 1.0, 0.0
        for name, columns in table_columns().items():
            size = float(sizes.get(name) or 0)
            member = Member(archive, f"tables/{name}.copy", self._now)
            copied = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(
                sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(name)
            )
            with connection.cursor() as cursor:
                with cursor.copy(copied) as rows:
                    for row in rows:
                        member.write(row)
                        tell(name, (done + min(member.bytes, size)) / total)
                count = cursor.rowcount
            sha256 = member.close()
            done += size
            yield TableFacts(name, columns, count, member.bytes, sha256)

    def _copy_files(self, archive: ZipFile) -> Iterator[FileFacts]:
        for name, file in self._files.opened():
            member = Member(archive, f"home/{name}", self._now)
            while piece := file.read(PIECE_BYTES):
                member.write(piece)
            sha256 = member.close()
            yield FileFacts(name, member.bytes, sha256)


def table_columns() -> dict[str, list[str]]:
    """Return every table's columns; a table comes after those it refers to."""
    return {
        str(table.name): [str(column.name) for column in table.columns] for table in SQLModel.metadata.sorted_tables
    }


def require_head(connection: _Connection) -> None:
    """Raise SchemaOutdated unless the database is at this version's schema."""
    try:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        found = None
    if found is None or found[0] != head_revision():
        raise SchemaOutdated(
            f"The database has schema {found[0] if found else 'none'}, this version {head_revision()}: "
            "run `pilothouse migrate`, or use the version that it belongs to"
        )


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """Yield a path beside the wanted one, for a file of mode 0600; it gets its name once it is on disk whole."""
    if path.exists():
        raise FileExistsError(f"{path} exists already: a backup overwrites nothing")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
        folder = os.open(path.absolute().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        partial.unlink(missing_ok=True)
