"""Everything an installation keeps and says, read whole: tables, PostgreSQL's own files, the home folder, output."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import re2

_CHUNK = 1 << 24
_TABLES = """
    SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""


class Search:
    """Looks for many texts at once, as they are or in the hexadecimal that PostgreSQL shows bytes in."""

    def __init__(self, texts: dict[str, str]) -> None:
        """Take the texts to find and what each is called."""
        self._names = {text.casefold().encode(): name for text, name in texts.items()}
        self._longest = 2 * max(map(len, self._names))
        self._pattern = re2.compile(b"(?i)" + b"|".join(re2.escape(text) for text in self._names))
        self._hex = re2.compile("|".join(text.hex() for text in (t.encode() for t in texts)).encode())
        self._hex_names = {text.encode().hex().encode(): name for text, name in texts.items()}

    def find(self, data: str | bytes) -> set[str]:
        """Return what the found texts are called."""
        raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
        plain = {
            self._names.get(found.group().lower(), found.group().decode()) for found in self._pattern.finditer(raw)
        }
        return plain | {self._hex_names[found.group()] for found in self._hex.finditer(raw)}

    def find_in_file(self, path: Path) -> set[str]:
        """Look through a file of any size."""
        found: set[str] = set()
        rest = b""
        with path.open("rb") as file:
            while block := file.read(_CHUNK):
                found |= self.find(rest + block)
                rest = block[-self._longest :]
        return found


def leaks_in_tables(url: str, search: Search) -> Iterator[tuple[str, str]]:
    """Yield (place, what) for every row of every table of ours, compressed pages unpacked."""
    with psycopg.connect(url) as connection:
        for (table,) in connection.execute(_TABLES).fetchall():
            for (row,) in connection.execute(f"SELECT t::text FROM {table} t"):
                yield from ((f"table {table}: {row[:1000]}", what) for what in search.find(row))
        for (packed,) in connection.execute("SELECT html_zlib FROM drift_report"):
            yield from (("Evidently's page", what) for what in search.find(zlib.decompress(packed)))


def leaks_in_database_files(url: str, search: Search) -> Iterator[tuple[str, str]]:
    """Yield (place, what) for PostgreSQL's files of this database and its write-ahead log, after a checkpoint."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute(
            "SELECT current_setting('data_directory'), oid FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    folder = Path(row[0])
    for path in [*(folder / "base" / str(row[1])).iterdir(), *(folder / "pg_wal").glob("0*")]:
        yield from ((f"database file {path.relative_to(folder)}", what) for what in search.find_in_file(path))


def leaks_in_folder(folder: Path, search: Search) -> Iterator[tuple[str, str]]:
    """Yield (place, what) for every file under a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield from ((f"file {path.relative_to(folder)}", what) for what in search.find_in_file(path))
