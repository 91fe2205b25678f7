"""What to do when a part has ended: pure decisions."""

from dataclasses import dataclass
from signal import Signals

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
STEADY_S = 60.0  # a part that stayed ready this long has proven itself: its next death starts the count anew
START_ATTEMPTS = 3


@dataclass(frozen=True)
class Restart:
    """Start the part again after a pause."""

    delay_s: float
    failures: int


@dataclass(frozen=True)
class GiveUp:
    """The part never got ready: a person must look."""

    failures: int


def after_exit(*, failures: int, was_ever_ready: bool, ready_for_s: float) -> Restart | GiveUp:
    """Decide from the failures in a row before this one, and how long the part had been ready this time.

    A part that never worked is given up after a few attempts, since its settings or its installation are wrong;
    one that worked before is tried for ever, with pauses that double up to a cap.
    """
    in_a_row = 1 if ready_for_s >= STEADY_S else failures + 1
    if not was_ever_ready and in_a_row >= START_ATTEMPTS:
        return GiveUp(in_a_row)
    return Restart(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(in_a_row - 1, 16)), in_a_row)


def describe_exit(code: int) -> str:
    """Return how a process ended, for a person: `exited with code 3`, `killed by SIGKILL`."""
    if code >= 0:
        return f"exited with code {code}"
    return f"was killed by {_signal_name(-code)}"


def _signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"
