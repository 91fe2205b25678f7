"""The last few models that were asked for by hand: the shelf itself keeps only what deployments hold."""

import threading
from collections import OrderedDict

from api.scoring.mojo import MojoScorer
from api.scoring.shelf import ScorerShelf

_KEPT = 4


class RecentScorers:
    """Gives scorers by SHA-256 and holds on to the last few. Thread-safe."""

    def __init__(self, shelf: ScorerShelf, kept: int = _KEPT) -> None:
        self._shelf = shelf
        self._kept = kept
        self._lock = threading.Lock()
        self._held: OrderedDict[str, MojoScorer] = OrderedDict()

    def get(self, sha256: str) -> MojoScorer:
        """Return the scorer, loading it when nobody has it; blocks. Raises ModelUnloadable."""
        scorer = self._shelf.get(sha256)
        with self._lock:
            self._held[sha256] = scorer
            self._held.move_to_end(sha256)
            while len(self._held) > self._kept:
                self._held.popitem(last=False)
        return scorer
