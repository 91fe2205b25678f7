"""Which faults a run injects and when: all of it follows from the seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

Kind = Literal[
    "api killed",
    "postgres killed",
    "backends killed",
    "postgres hangs",
    "prefect killed",
    "worker killed",
    "disk full",
    "up killed",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_WEIGHTS: Final = (4, 4, 2, 3, 1, 1, 2, 1)


@dataclass(frozen=True)
class Fault:
    """What goes wrong, how many seconds into the round, and how long it lasts where it lasts."""

    kind: Kind
    at_s: float
    for_s: float


@dataclass(frozen=True)
class Round:
    """One stretch of traffic of so many seconds with its faults, in order of time."""

    number: int
    seconds: float
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        """Name the faults as a table shows them."""
        return ", ".join(f"{fault.kind} at {fault.at_s:.1f} s" for fault in self.faults)


def rounds(seed: int, count: int, *, seconds: float = 8.0) -> Iterator[Round]:
    """Yield rounds of one to three faults; kinds that cost more time to recover from come more seldom."""
    chance = random.Random(seed)
    for number in range(1, count + 1):
        kinds = chance.choices(KINDS, _WEIGHTS, k=chance.randint(1, 3))
        if "up killed" in kinds:
            kinds = ["up killed"]
        faults = [Fault(kind, chance.uniform(0.5, seconds * 0.7), chance.uniform(1.0, seconds * 0.5)) for kind in kinds]
        yield Round(number, seconds, tuple(sorted(faults, key=lambda fault: fault.at_s)))


def one_of_each(seconds: float = 6.0) -> tuple[Round, ...]:
    """Return the short form: each kind of fault but the death of `up`, in three rounds."""
    return (
        Round(1, seconds, (Fault("postgres killed", 1.0, 0.0), Fault("api killed", 2.5, 0.0))),
        Round(
            2,
            seconds,
            (Fault("postgres hangs", 0.5, 3.0), Fault("worker killed", 1.0, 0.0), Fault("backends killed", 4.5, 0.0)),
        ),
        Round(3, seconds, (Fault("disk full", 0.5, 4.0), Fault("prefect killed", 1.0, 0.0))),
    )
