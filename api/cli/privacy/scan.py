"""`pilothouse privacy scan`: which columns of a file hold personal data, told without showing any."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from api.cli.errors import expected
from api.cli.privacy.table_files import TableFile, open_table
from api.cli.privacy.tally import ColumnFinding, ColumnTally
from api.cli.tables import print_table
from api.privacy.catalogue import CATALOGUE
from api.privacy.detection import Detector

FOUND = 3
_LONGEST_NAME = 60


@click.command("scan")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Count what is found with at least this score.",
)
@click.option(
    "--min-share",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Leave out a type that a smaller share of a column's values hold.",
)
@click.option("--rows", type=click.IntRange(min=1), help="Read the first rows only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.option("--fail-on-found", is_flag=True, help=f"Exit with {FOUND} when personal data was found.")
@expected
def scan_command(
    *, path: Path, threshold: float, min_share: float, rows: int | None, as_json: bool, fail_on_found: bool
) -> None:
    """Look for personal data in a CSV or Parquet file and name columns, types, shares and scores, never a value.

    Needs no server and sends nothing anywhere. Exits with 0 when the file was read to its end, whatever was found; 1
    when it cannot be read; 3 with --fail-on-found when something was found.
    """
    detector = Detector(CATALOGUE, column_map={}, threshold=threshold)
    table = open_table(path, lambda name: _is_value(detector, name), limit=rows)
    columns = scan(table, detector)
    found = [each for column in columns for each in column.findings() if each.share >= min_share]
    if as_json:
        click.echo(json.dumps(_report(path, table, columns, found) | {"threshold": threshold}, indent=2))
    else:
        _show(table, columns, found)
    if fail_on_found and found:
        sys.exit(FOUND)


def scan(table: TableFile, detector: Detector) -> list[ColumnTally]:
    """Read the table to its end, a bar on a terminal's stderr meanwhile, and return what each column holds."""
    columns = [ColumnTally(name) for name in table.columns]
    with _bar(table.rows) as progress:
        task = progress.add_task("", total=table.rows * len(columns), rows=0)
        read = 0
        for piece in table.read():
            read += piece.height
            for column, values in zip(columns, piece.iter_columns(), strict=True):
                column.add(detector, values)
                progress.update(task, advance=piece.height)
            progress.update(task, rows=read)
    return columns


def _is_value(detector: Detector, name: str) -> bool:
    """Say whether a header's field is itself somebody's e-mail address, number, ...: then it is no header."""
    return any((found.start, found.end) == (0, len(name)) for found in detector.find("", name))


@contextmanager
def _bar(rows: int) -> Iterator[Progress]:
    console = Console(stderr=True)
    shown = (BarColumn(), TextColumn(f"{{task.fields[rows]:,}} of {rows:,} rows"), TimeRemainingColumn())
    with Progress(*shown, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def _report(path: Path, table: TableFile, columns: list[ColumnTally], found: list[ColumnFinding]) -> dict[str, Any]:
    return {
        "file": str(path),
        "rows": table.rows,
        "columns": len(columns),
        "has_header": table.has_header,
        "found": [asdict(each) for each in found],
        "not_looked_at": {column.name: column.skipped for column in columns if column.skipped},
    }


def _show(table: TableFile, columns: list[ColumnTally], found: list[ColumnFinding]) -> None:
    if found:
        rows = [(_name(each.column), each.title, _share(each.share), f"{each.score:.2f}", each.how) for each in found]
        print_table(("Column", "Type", "Share", "Score", "Because of"), rows)
    for column in columns:
        if column.skipped:
            click.echo(f"Not looked at: {_name(column.name)}, {column.skipped}")
    if not table.has_header:
        click.echo("The first line holds values, no names: columns are called by their number")
    held = len({each.column for each in found})
    click.echo(f"{table.rows:,} rows: personal data in {held or 'none'} of {len(columns)} columns")


def _share(share: float) -> str:
    return "< 0.1 %" if share < 0.001 else f"{share:.1%}".replace("%", " %")


def _name(name: str) -> str:
    """Return a column's name fit for a screen: short, without control characters."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)[
        :_LONGEST_NAME
    ]
