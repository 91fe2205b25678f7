"""How long a model takes for a row, learned from the requests it answers."""

_FIRST_GUESS_S = 50e-6
_FIRST_GUESS_EXPLAINED_S = 1e-3
_WEIGHT = 0.1


class Pace:
    """A running mean of the seconds a row takes, with and without contributions; any thread may use it."""

    __slots__ = ("_explained_s", "_plain_s")

    def __init__(self) -> None:
        self._plain_s = _FIRST_GUESS_S
        self._explained_s = _FIRST_GUESS_EXPLAINED_S

    def expect(self, rows: int, *, explained: bool) -> float:
        """Return how many seconds the rows will take."""
        return rows * (self._explained_s if explained else self._plain_s)

    def learn(self, rows: int, seconds: float, *, explained: bool) -> None:
        """Note that the rows took so long."""
        each = seconds / max(rows, 1)
        if explained:
            self._explained_s += _WEIGHT * (each - self._explained_s)
        else:
            self._plain_s += _WEIGHT * (each - self._plain_s)
