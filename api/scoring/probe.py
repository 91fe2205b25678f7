"""Try a stranger's MOJO in a process of its own, so that one that hangs, exhausts or kills a JVM does it there.

`python -m api.scoring.probe PATH HEAP_MB` is that process; `probe_mojo` starts it and judges how it ended.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from api.scoring.errors import ContributionsUnavailable, InvalidRows, MojoRefused
from api.scoring.jvm import start_jvm
from api.scoring.mojo import MojoScorer

_REFUSED = 3
_ROWS = 300
_ROWS_WITH_CONTRIBUTIONS = 5


def probe_mojo(path: Path, *, timeout_s: float = 60, max_heap_mb: int = 256) -> None:
    """Load the MOJO and score made-up rows in a child process; raises MojoRefused unless it comes through.

    `max_heap_mb` should be the heap of the scorer that is to serve it.
    """
    command = [sys.executable, "-m", "api.scoring.probe", str(path.resolve()), str(max_heap_mb)]
    try:
        ended = subprocess.run(  # noqa: S603 - our own module, a path of ours
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=timeout_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise MojoRefused(f"Loading the MOJO and scoring {_ROWS} rows took longer than {timeout_s:g} s") from error
    if ended.returncode == _REFUSED:
        raise MojoRefused(ended.stdout.decode("utf-8", "replace")[:1000])
    if ended.returncode:
        raise MojoRefused("Loading the MOJO and scoring rows killed the process that tried it")


def main(path: Path, max_heap_mb: int) -> int:
    """Try the MOJO here; return 0, or `_REFUSED` with the reason printed."""
    start_jvm(max_heap_mb)
    try:
        scorer = MojoScorer.load(path)
    except MojoRefused as error:
        sys.stdout.write(error.reason)
        return _REFUSED
    rows = made_up_rows(scorer)
    try:
        scorer.score(rows)
        scorer.contributions(rows[:_ROWS_WITH_CONTRIBUTIONS])
    except (InvalidRows, ContributionsUnavailable):
        pass  # rows of no sense may have no answer; what counts is that the process lives
    return 0


def made_up_rows(scorer: MojoScorer) -> np.ndarray:
    """Return rows over every label and far numbers, a tenth of the values missing, the same every time."""
    dice = np.random.default_rng(0)
    columns = [
        dice.integers(0, len(feature.domain), _ROWS).astype(np.float64)
        if feature.domain
        else dice.choice([-1e9, -1.0, 0.0, 1.0, 1e9], _ROWS) * dice.random(_ROWS)
        for feature in scorer.features
    ]
    matrix = np.column_stack(columns)
    matrix[dice.random(matrix.shape) < 0.1] = np.nan
    return matrix


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
