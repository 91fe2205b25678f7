"""A bar on a terminal's stderr while a backup is written or read."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from monitoring.store.dump_format import Tell

_SELDOM = 0.001


@contextmanager
def bar(title: str) -> Iterator[Tell]:
    """Show a bar as long as the block runs; nothing where nobody looks."""
    console = Console(stderr=True)
    shown = (
        TextColumn(title),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[what]}"),
    )
    with Progress(*shown, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=1.0, what="")
        last = 0.0

        def tell(what: str, share: float) -> None:
            nonlocal last
            if share - last >= _SELDOM or share >= 1:
                last = share
                progress.update(task, completed=share, what=what)

        yield tell
