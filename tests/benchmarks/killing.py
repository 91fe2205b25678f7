"""The watch's processes killed with -9 over many rounds: what was lost, early and duplicated.

Run by hand: `uv run python -m tests.benchmarks.killing --rounds 200 --seed 7` (about 10 minutes).
"""

import argparse
import random
import sys

from tests.benchmarks.installation import own_database
from tests.integration.watch.killing import Counts, play
from tests.integration.watch.receivers import Receiver, serving


def main() -> int:
    """Play the rounds and print what they came to; return 1 when a notice was lost or early."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    print(f"{given.rounds} rounds, seed {given.seed}")
    rng, counts = random.Random(given.seed), Counts()
    with own_database() as database, serving(Receiver()) as receiver:
        for _ in range(given.rounds):
            counts.add(play(database, receiver, rng))
    print(counts)
    return int(counts.lost + counts.early > 0)


if __name__ == "__main__":
    sys.exit(main())
