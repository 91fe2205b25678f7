"""What scoring can refuse, as facts a person can act on. No statuses here: the routes give them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with one field of one input row (`field` is None when the row itself is).

    Where `message` quotes the value, `without_value` says the same without it.
    """

    row: int
    field: str | None
    message: str
    without_value: str | None = None


class NotANumber(ValueError):
    """A text where a number must stand."""

    without_value = "must be a number, not text"

    def __init__(self, text: str) -> None:
        super().__init__(f"must be a number, not {shown(text, 40)}")


class InvalidRows(Exception):
    """Rows that cannot be scored, each fault named; the list is cut at `MAX_ROW_ERRORS`."""

    def __init__(self, errors: list[RowError]) -> None:
        super().__init__("; ".join(f"row {error.row}, {error.field}: {error.message}" for error in errors[:3]))
        self.errors = errors


class MojoRefused(Exception):
    """A file that is not a MOJO we serve; `reason` is one sentence, safe to show."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ContributionsUnavailable(Exception):
    """The model has no contributions to give; `reason` is one sentence, safe to show."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


MAX_ROW_ERRORS = 100


def shown(text: str, limit: int = 80) -> str:
    """Return foreign text quoted, printable and short enough to stand in a message."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "'" + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in cut) + "'"
