"""What `up` says: a spinner and colour on a terminal, plain lines without control characters elsewhere."""

import contextlib
import os
import sys
from collections.abc import Iterable

from rich.console import Console
from rich.status import Status

from api.supervisor.part import Change

_STYLES = {"ready": "green", "done": "green", "restarting": "yellow", "failed": "bold red", "stopped": "dim"}
_NAME_WIDTH = 12


class _LastingConsole(Console):
    """A console that falls silent when its reader goes away, where rich would end the program."""

    def on_broken_pipe(self) -> None:
        """Send what is still said to nowhere."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())


class Voice:
    """Prints progress. A closed output (a pipe that went away) is no reason to fall over."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _LastingConsole(highlight=False, soft_wrap=True)
        self._spinner: Status | None = None

    def say(self, text: str, *, style: str | None = None) -> None:
        """Print a line."""
        with contextlib.suppress(OSError, ValueError):
            self._console.print(text, style=style, markup=False)

    def waiting(self, text: str) -> None:
        """Show what is being waited for, on a terminal only."""
        if not self._console.is_terminal:
            return
        if self._spinner is None:
            self._spinner = self._console.status(text)
            self._spinner.start()
        self._spinner.update(text)

    def settled(self) -> None:
        """Nothing is being waited for any more."""
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None

    def change(self, change: Change) -> None:
        """Tell a part's change of state, with the last lines of its log when it failed."""
        if change.state in {"waiting", "starting"}:
            return
        self.say(f"  {change.part.title:<{_NAME_WIDTH}}{change.text}", style=_STYLES.get(change.state))
        self.quote(change.details)

    def quote(self, lines: Iterable[str]) -> None:
        """Print lines of somebody else's output, set off."""
        for line in lines:
            self.say(f"    | {line}", style="dim")
