"""Read a backup back: verified first, then into an empty database in one transaction."""

import hashlib
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from lzma import LZMAError
from pathlib import Path
from typing import Any, BinaryIO, cast
from zipfile import BadZipFile, ZipFile
from zlib import error as DeflateError  # noqa: N812 - the class is called `error`

import psycopg
from psycopg import sql
from sqlalchemy import text
from sqlmodel import Session

from monitoring.store.database import Database
from monitoring.store.dump_format import (
    MANIFEST,
    PIECE_BYTES,
    BackupUnusable,
    FileFacts,
    Manifest,
    TableFacts,
    Tell,
    decode,
)
from monitoring.store.migrate import knows_revision, migrate, upgrade
from monitoring.store.partitions import create_partition

_DAMAGE = (
    BadZipFile,
    DeflateError,
    LZMAError,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
    OSError,
)
_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
ORDER BY relname
"""
_SEQUENCES = """
SELECT relname, attname, pg_get_serial_sequence(quote_ident(relname), attname)
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND NOT relispartition AND attnum > 0
AND NOT attisdropped AND pg_get_serial_sequence(quote_ident(relname), attname) IS NOT NULL
"""


class NotEmpty(RuntimeError):
    """There is something already where a backup should be restored."""


class Backup:
    """An opened archive and its manifest."""

    def __init__(self, archive: ZipFile) -> None:
        """Read the manifest. Raises BackupUnusable."""
        self._archive = archive
        if MANIFEST not in archive.namelist():
            raise BackupUnusable("The file is a zip archive, but holds no backup")
        with _told_as_damage(MANIFEST):
            data = archive.read(MANIFEST)
        self.manifest: Manifest = decode(data)
        if not knows_revision(self.manifest.revision):
            raise BackupUnusable(
                f"The backup was made by Pilothouse {self.manifest.pilothouse} with schema {self.manifest.revision}, "
                "which this version does not know: use that version or a later one"
            )

    def verify(self, tell: Tell) -> None:
        """Read everything and compare it with the manifest. Raises BackupUnusable."""
        wanted = self.manifest.members
        if sorted(self._archive.namelist()) != sorted((MANIFEST, *wanted)):
            raise BackupUnusable("The backup does not hold what its manifest names")
        done = 0
        for each in wanted.values():
            digest, size = hashlib.sha256(), 0
            for piece in self.read(each):
                digest.update(piece)
                size += len(piece)
                tell(each.name, (done + size) / max(self.manifest.bytes, 1))
            done += size
            if (digest.hexdigest(), size) != (each.sha256, each.bytes):
                raise BackupUnusable(f"The backup is damaged: {each.member} is not what was written")

    def read(self, each: TableFacts | FileFacts) -> Iterator[bytes]:
        """Yield a member's content piece by piece. Raises BackupUnusable when it is damaged."""
        with _told_as_damage(each.member), self._archive.open(each.member) as member:
            while piece := member.read(PIECE_BYTES):
                yield piece

    def load(self, database: Database, tell: Tell) -> None:
        """Fill an empty database, all or nothing, then bring it to this version's schema.

        Raises NotEmpty, BackupUnusable and psycopg's errors.
        """
        with database.transaction() as session:
            require_empty(session)
            upgrade(session.connection(), self.manifest.revision)
            for day in self.manifest.days:
                create_partition(session, day)
            self._require_same_tables(session)
            done = 0
            for table in self.manifest.tables:
                done = self._load_table(session, table, tell, done)
            _advance_sequences(session)
        migrate(database)

    def _require_same_tables(self, session: Session) -> None:
        there = set(session.execute(text(_TABLES)).scalars()) - {"alembic_version"}
        named = {table.name for table in self.manifest.tables}
        if there != named:
            raise BackupUnusable(f"The backup's tables are not those of its schema: {', '.join(sorted(there ^ named))}")

    def _load_table(self, session: Session, table: TableFacts, tell: Tell, done: int) -> int:
        driver = cast("psycopg.Connection[Any]", session.connection().connection.driver_connection)
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        with driver.cursor() as cursor:
            with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)) as copy:
                for piece in self.read(table):
                    copy.write(piece)
                    done += len(piece)
                    tell(table.name, done / max(self.manifest.bytes, 1))
            if cursor.rowcount != table.rows:
                raise BackupUnusable(f"Of {table.rows} rows of {table.name} {cursor.rowcount} arrived")
        return done


@contextmanager
def opened_backup(path: Path | BinaryIO) -> Iterator[Backup]:
    """Yield the backup in a file. Raises BackupUnusable, OSError."""
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb")) if isinstance(path, Path) else path
        with _told_as_damage("the archive"):
            archive = stack.enter_context(ZipFile(file))
        yield Backup(archive)


@contextmanager
def _told_as_damage(what: str) -> Iterator[None]:
    """Turn what Python's zip reader raises over damaged files into BackupUnusable."""
    try:
        yield
    except _DAMAGE as error:
        raise BackupUnusable(f"The file is no backup, or damaged: {what} cannot be read ({error})") from error


def require_empty(session: Session) -> None:
    """Raise NotEmpty when the database holds any table."""
    found = list(session.execute(text(_TABLES)).scalars())
    if found:
        shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise NotEmpty(
            f"The database holds tables already ({shown}). A backup is restored into an empty one only: choose another "
            "home with PILOTHOUSE_HOME, or with PILOTHOUSE_DATABASE_URL a new database"
        )


def _advance_sequences(session: Session) -> None:
    """Let numbers that the database gives go on after the largest restored."""
    for table, column, sequence in session.execute(text(_SEQUENCES)).all():
        session.execute(
            text(f'SELECT setval(:sequence, (SELECT coalesce(max("{column}"), 0) + 1 FROM "{table}"), false)'),
            {"sequence": sequence},
        )
