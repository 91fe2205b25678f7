"""Facts a query can state. Doors turn them into answers; no status codes here."""


class NotFound(LookupError):
    """The thing asked for does not exist, or not for this caller."""

    def __init__(self, kind: str, identifier: object) -> None:
        super().__init__(f"No {kind} {identifier}")
        self.kind = kind


class NoAnswer(Exception):
    """The database does not answer in time."""


class Conflict(Exception):
    """The present state forbids the change; the text says which state and what to do."""
