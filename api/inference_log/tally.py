"""What became of this process's rows, per UTC minute: what the ledger in the database is told.

Rows stored by a batch are added to the ledger in the batch's own transaction, so that figure always equals the log. The
others are told as absolute figures of this process, which only grow; telling them twice, or an old one late (by a
connection that hung), does no harm.
"""

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MINUTE_US = 60_000_000
_REMEMBERED_S = 26 * 3600.0  # longer than a clock is ever set back


@dataclass(slots=True)
class MinuteTally:
    """The rows of one minute; `in_doubt` of them were refused while it is not known whether their commit happened."""

    served: int = 0
    spooled: int = 0
    refused: int = 0
    refused_stored: int = 0
    shed: int = 0
    in_doubt: int = 0
    changed_at: float = 0.0


class Tally:
    """Counts per minute (minutes since 1970), and which of them the ledger does not have yet."""

    def __init__(self, worker_id: uuid.UUID) -> None:
        self._worker_id = worker_id
        self._minutes: dict[int, MinuteTally] = {}
        self._changed: set[int] = set()

    def __len__(self) -> int:
        return len(self._minutes)

    @property
    def is_told(self) -> bool:
        """Say whether the ledger has all there is to tell."""
        return not self._changed

    def serve(self, minute: int, rows: int) -> None:
        """Count rows that come in."""
        self._of(minute).served += rows

    def spool(self, minute: int, rows: int) -> None:
        """Count rows that are safe in the spool."""
        self._of(minute).spooled += rows

    def refuse(self, minute: int, rows: int) -> None:
        """Count rows that are in neither log nor spool."""
        self._of(minute).refused += rows

    def doubt(self, minute: int, rows: int) -> None:
        """Hold rows that were refused while their commit may be happening: not told before that is known."""
        self._of(minute).in_doubt += rows

    def resolve(self, minute: int, rows: int, *, stored: bool) -> None:
        """Count as refused rows that were in doubt; `stored` says that their commit happened all the same."""
        counts = self._of(minute)
        counts.in_doubt -= rows
        counts.refused += rows
        counts.refused_stored += rows if stored else 0

    def shed(self, requests: int = 1) -> None:
        """Count requests of this minute that were turned away before they were read."""
        self._of(int(time.time()) // 60).shed += requests

    def take_changed(self, at_most: int = 200) -> set[int]:
        """Return minutes that the ledger is to be told now; `give_back` those of a failed attempt."""
        if len(self._changed) <= at_most:
            taken, self._changed = self._changed, set()
        else:
            taken = set(sorted(self._changed)[:at_most])
            self._changed -= taken
        return taken

    def give_back(self, minutes: Iterable[int]) -> None:
        """Take back minutes that may not have been told."""
        self._changed.update(minutes)

    def forget_old(self) -> None:
        """Let go of minutes that are told and will not change any more."""
        limit = time.monotonic() - _REMEMBERED_S
        for minute, counts in list(self._minutes.items()):
            if counts.changed_at < limit and minute not in self._changed and not counts.in_doubt:
                del self._minutes[minute]

    def statement(self, minutes: Iterable[int], stored: Mapping[int, int]) -> bytes:
        """Return the SQL that tells the ledger these minutes, and that `stored` rows join the log in its transaction.

        `stored` in the ledger excludes what was refused all the same.
        """
        values = ",".join(self._values(minute, stored.get(minute, 0)) for minute in sorted({*minutes, *stored}))
        return (
            "INSERT INTO log_ledger AS kept "
            "(minute, worker_id, served, stored, spooled, refused, refused_stored, shed) "
            f"VALUES {values} ON CONFLICT (minute, worker_id) DO UPDATE SET "
            "served = greatest(kept.served, excluded.served), "
            "stored = kept.stored + excluded.stored - greatest(0, excluded.refused_stored - kept.refused_stored), "
            "spooled = greatest(kept.spooled, excluded.spooled), refused = greatest(kept.refused, excluded.refused), "
            "refused_stored = greatest(kept.refused_stored, excluded.refused_stored), "
            "shed = greatest(kept.shed, excluded.shed)"
        ).encode()

    def _values(self, minute: int, stored: int) -> str:
        counts = self._minutes.get(minute) or MinuteTally()
        return (
            f"(to_timestamp({minute * 60}),'{self._worker_id}',{counts.served},{stored},"
            f"{counts.spooled},{counts.refused},{counts.refused_stored},{counts.shed})"
        )

    def _of(self, minute: int) -> MinuteTally:
        counts = self._minutes.get(minute)
        if counts is None:
            self.forget_old()
            counts = self._minutes[minute] = MinuteTally()
        counts.changed_at = time.monotonic()
        self._changed.add(minute)
        return counts
