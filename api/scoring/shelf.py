"""Loaded models by the content of their MOJO: loaded once however many ask, kept while somebody holds them."""

import threading
import time
import weakref
from concurrent.futures import Future
from pathlib import Path

from api.scoring.errors import MojoRefused
from api.scoring.jvm import start_jvm
from api.scoring.mojo import MojoScorer
from monitoring.store.artifacts import ArtifactCorrupt, materialize
from monitoring.store.database import Database
from monitoring.store.errors import NotFound

_REMEMBER_FAILURE_S = 5.0


class ModelUnloadable(Exception):
    """A model that cannot be loaded, now or later; `reason` is one sentence, safe to show."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ScorerShelf:
    """Gives scorers by SHA-256. Thread-safe; two deployments of one MOJO share one scorer."""

    def __init__(self, database: Database, folder: Path, *, jvm_heap_mb: int) -> None:
        self._database = database
        self._folder = folder
        self._jvm_heap_mb = jvm_heap_mb
        self._lock = threading.Lock()
        self._loaded: weakref.WeakValueDictionary[str, MojoScorer] = weakref.WeakValueDictionary()
        self._loading: dict[str, Future[MojoScorer]] = {}
        self._failed: dict[str, tuple[float, ModelUnloadable]] = {}

    def __len__(self) -> int:
        return len(self._loaded)

    def get(self, sha256: str) -> MojoScorer:
        """Return the scorer, loading it first unless somebody has it; blocks.

        Raises ModelUnloadable (remembered for a few seconds), or what the database raises when it is away.
        """
        with self._lock:
            scorer = self._loaded.get(sha256)
            if scorer is not None:
                return scorer
            self._raise_remembered(sha256)
            loading = self._loading.get(sha256)
            mine = loading is None
            if loading is None:
                loading = self._loading[sha256] = Future()
        if mine:
            self._load(sha256, loading)
        return loading.result()

    def _raise_remembered(self, sha256: str) -> None:
        until, failure = self._failed.get(sha256, (0.0, None))
        if failure is not None and time.monotonic() < until:
            raise ModelUnloadable(failure.reason)

    def _load(self, sha256: str, loading: "Future[MojoScorer]") -> None:
        try:
            scorer = self._read(sha256)
        except BaseException as error:
            with self._lock:
                self._loading.pop(sha256)
                if isinstance(error, ModelUnloadable):
                    self._failed[sha256] = (time.monotonic() + _REMEMBER_FAILURE_S, error)
            loading.set_exception(error)
        else:
            with self._lock:
                self._loading.pop(sha256)
                self._failed.pop(sha256, None)
                self._loaded[sha256] = scorer
            loading.set_result(scorer)

    def _read(self, sha256: str) -> MojoScorer:
        start_jvm(self._jvm_heap_mb)
        try:
            with self._database.transaction() as session:
                path = materialize(session, sha256, self._folder)
            return MojoScorer.load(path)
        except (MojoRefused, ArtifactCorrupt, NotFound) as error:
            raise ModelUnloadable(str(error)) from error
        except OSError as error:
            raise ModelUnloadable(f"Its file cannot be kept on this machine: {error.strerror}") from error
