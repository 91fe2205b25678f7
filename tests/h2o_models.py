"""Real H2O models for tests: trained once by `tests.h2o_training`, then read from `.cache`."""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent
TRAINING_SOURCES = [Path(__file__).with_name(name) for name in ("h2o_tables.py", "h2o_training.py")]
TRAINING_TIMEOUT_S = 900  # about 80 s on two idle cores


@dataclass(frozen=True)
class TrainedModel:
    """A model as its H2O cluster left it, and what that cluster answers for the rows.

    A prediction is `{"prediction": label or number, "probabilities": {label: p} for classification}`; a contribution
    is `{feature: value, ..., "BiasTerm": value}` or None where the algorithm has none.
    """

    name: str
    mojo: Path
    reference: Path
    target: str
    rows: list[dict[str, Any]]
    predictions: list[dict[str, Any]]
    contributions: list[dict[str, float]] | None


class TrainedModels(Mapping[str, TrainedModel]):
    """The trained models by name (`gbm_binomial`, `xgboost_multinomial`, ...), read when asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names = sorted(path.stem for path in folder.glob("*.zip"))
        self._read = cache(self._read_model)

    def __getitem__(self, name: str) -> TrainedModel:
        if name not in self._names:
            raise KeyError(f"{name}: the models are {', '.join(self._names)}")
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def refused(self, name: str) -> Path:
        """Return a real H2O file that an import must refuse, e.g. `kmeans.zip`, `pojo.java`, `binary_model`."""
        path = self.folder / "refused" / name
        if not path.is_file():
            raise KeyError(name)
        return path

    def _read_model(self, name: str) -> TrainedModel:
        answers = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        return TrainedModel(
            name=name,
            mojo=self.folder / f"{name}.zip",
            reference=self.folder / f"{name}.reference.csv",
            **answers,
        )


def trained_models() -> TrainedModels:
    """Return the trained models, training them first where this version of the script never ran to its end."""
    cache_folder = REPOSITORY / ".cache"
    cache_folder.mkdir(exist_ok=True)
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in TRAINING_SOURCES)).hexdigest()[:16]
    folder = cache_folder / f"h2o-models-{digest}"
    with (cache_folder / "h2o-models.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # freed by the kernel with the process
        if not folder.is_dir():
            _train(cache_folder, folder)
    return TrainedModels(folder)


def _train(cache_folder: Path, folder: Path) -> None:
    for unfinished in cache_folder.glob("training-*"):
        shutil.rmtree(unfinished)
    unfinished = Path(tempfile.mkdtemp(prefix="training-", dir=cache_folder))
    try:
        _run_training(unfinished)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _run_training(unfinished: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.h2o_training", str(unfinished)]
    log = unfinished / "training.log"
    with log.open("w") as output:
        running = subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        status = running.wait(TRAINING_TIMEOUT_S)
    finally:
        running.communicate()  # closes its input, which ends it if it still runs
    if status:
        raise RuntimeError(f"Training the test models failed:\n{log.read_text()[-4000:]}")
