"""A MOJO inside the JVM: arrays in, arrays out. Everything that touches Java objects of a model is here."""

import threading
from pathlib import Path
from typing import Any, cast

import jpype
import numpy as np

from api.scoring.errors import ContributionsUnavailable, MojoRefused, shown
from api.scoring.jvm import attach_thread, start_jvm

_ONE_BY_ONE = 4  # up to this many rows, calls one by one are faster than a stream inside the JVM


class JavaModel:
    """A loaded model. Threads share it: H2O's scorers keep no state between calls, and each call has its own arrays."""

    def __init__(self, path: Path, *, with_importances: bool = False) -> None:
        """Load the file, which is not needed afterwards; raises MojoRefused.

        H2O's contributions of a DRF need its variable importances, which cost time to read.
        """
        start_jvm()
        attach_thread()
        self._doubles = jpype.JArray(jpype.JDouble)
        try:
            self._model = jpype.JClass("hex.genmodel.MojoModel").load(str(path), with_importances)
            self._preds_size = int(self._model.getPredsSize(self._model.getModelCategory()))
            self._score_row = self._model.score0
            self._row_maker = _array_maker(jpype.JDouble)
            self._score_stream = _row_function(_score_handle(self._model, self._preds_size))
        except jpype.JException as error:
            raise MojoRefused(f"H2O cannot read the MOJO: {explain(error)}") from error
        self._contributions: _Contributions | None = None
        self._building = threading.Lock()

    @property
    def category(self) -> str:
        """H2O's name of what the model answers."""
        return str(self._model.getModelCategory().toString())

    @property
    def features(self) -> list[str]:
        """The input columns in the model's order."""
        return [str(name) for name in self._model.features()]

    def domain(self, column: int) -> list[str | None] | None:
        """Return a column's labels, or None when it is numeric; a label missing in the file is None."""
        labels = self._model.getDomainValues(column)
        return None if labels is None else [None if label is None else str(label) for label in labels]

    @property
    def response_domain(self) -> list[str | None] | None:
        """The labels the model answers with, or None."""
        return self.domain(int(self._model.getResponseIdx()))

    def score(self, matrix: np.ndarray) -> list[list[float]]:
        """Return for each row the answer (a label's number, or the value), then the probabilities.

        Raises jpype.JException when the model fails on a row.
        """
        attach_thread()
        if len(matrix) > _ONE_BY_ONE:
            return list(_stream(matrix, self._score_stream, self._row_maker).tolist())
        doubles, score_row, size = self._doubles, self._score_row, self._preds_size
        answers = [memoryview(score_row(doubles(row), doubles(size))) for row in matrix]
        return [cast("list[float]", answer.tolist()) for answer in answers]

    def why_no_contributions(self) -> str | None:
        """Return why the model has no contributions, or None when it has."""
        factory = jpype.JClass("hex.genmodel.PredictContributionsFactory")
        if not isinstance(self._model, factory):
            return "Contributions are given by GBM, DRF and XGBoost models only"
        if self.category == "Multinomial":
            return "H2O gives no contributions for models with more than two labels"
        if getattr(self._model, "_boosterType", "gbtree") == "gblinear":
            return "H2O gives no contributions for XGBoost with linear boosters"
        if hasattr(self._model, "getNTreesPerGroup") and int(self._model.getNTreesPerGroup()) != 1:
            return "H2O gives no contributions for forests with a tree for each label"
        return None

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """Return float64 [rows, features + 1], the bias last; raises ContributionsUnavailable."""
        attach_thread()
        with self._building:
            if self._contributions is None:
                self._contributions = _Contributions(self._model)
        return self._contributions.of(matrix)


class _Contributions:
    """H2O's TreeSHAP over a model, built at the first use because it holds every tree a second time."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - a Java object
        try:
            predictor = model.makeContributionsPredictor()
            self._width = len(predictor.getContributionNames())
        except jpype.JException as error:
            raise ContributionsUnavailable(f"H2O cannot make contributions of this model: {explain(error)}") from error
        handle = _lookup().findVirtual(
            jpype.JClass("hex.genmodel.PredictContributions").class_,
            "calculateContributions",
            _method_type(_class_of(jpype.JFloat, 1), _class_of(jpype.JDouble, 1)),
        )
        self._function = _row_function(handle.bindTo(predictor))
        self._starts = _feature_starts(model, self._width)

    def of(self, matrix: np.ndarray) -> np.ndarray:
        """Return one value a feature and the bias; a one-hot encoded feature is the sum of its columns."""
        if not len(matrix):
            return np.zeros((0, len(self._starts)))
        found = _stream(matrix, self._function, _array_maker(jpype.JFloat)).astype(np.float64)
        if len(self._starts) == self._width:
            return found
        return np.asarray(np.add.reduceat(found, self._starts, axis=1))


def _feature_starts(model: Any, width: int) -> np.ndarray:  # noqa: ANN401
    """Return where each feature's columns begin among `width` contributions: XGBoost spreads categories over many."""
    offsets = getattr(model, "_catOffsets", None)
    if offsets is None:
        return np.arange(width)
    spread = np.array(list(offsets), dtype=np.int64)
    return np.concatenate([spread[:-1], np.arange(spread[-1], width)])


def explain(error: Any) -> str:  # noqa: ANN401 - a Java exception
    """Return a Java exception as a short, printable text."""
    name = type(error).__name__.rsplit(".", maxsplit=1)[-1]
    if name == "OutOfMemoryError":
        return "it needs more memory than the scorer's Java heap has"
    message = error.getMessage()
    return name if message is None else f"{name} {shown(str(message), 200)}"


def _stream(matrix: np.ndarray, function: Any, maker: Any) -> np.ndarray:  # noqa: ANN401
    """Apply a Java function to every row inside the JVM, in one call that holds no GIL."""
    rows = jpype.JArray.of(np.ascontiguousarray(matrix))
    return np.array(jpype.JClass("java.util.Arrays").stream(rows).map(function).toArray(maker))


def _row_function(handle: Any) -> Any:  # noqa: ANN401
    """Return a method handle of one argument as a java.util.function.Function."""
    proxies = jpype.JClass("java.lang.invoke.MethodHandleProxies")
    return proxies.asInterfaceInstance(jpype.JClass("java.util.function.Function").class_, handle)


def _score_handle(model: Any, preds_size: int) -> Any:  # noqa: ANN401
    """Return the handle `row -> model.score0(row, new double[preds_size])`."""
    doubles = _class_of(jpype.JDouble, 1)
    handles = jpype.JClass("java.lang.invoke.MethodHandles")
    score = _lookup().findVirtual(
        jpype.JClass("hex.genmodel.GenModel").class_, "score0", _method_type(doubles, doubles, doubles)
    )
    fresh = handles.insertArguments(handles.arrayConstructor(doubles), 0, jpype.JObject(preds_size, jpype.JInt))
    return handles.collectArguments(score.bindTo(model), 1, fresh)


def _array_maker(kind: Any) -> Any:  # noqa: ANN401
    """Return `n -> new kind[n][]` as a java.util.function.IntFunction."""
    handles = jpype.JClass("java.lang.invoke.MethodHandles")
    proxies = jpype.JClass("java.lang.invoke.MethodHandleProxies")
    maker = handles.arrayConstructor(_class_of(kind, 2))
    return proxies.asInterfaceInstance(jpype.JClass("java.util.function.IntFunction").class_, maker)


def _lookup() -> Any:  # noqa: ANN401
    return jpype.JClass("java.lang.invoke.MethodHandles").publicLookup()


def _method_type(*classes: Any) -> Any:  # noqa: ANN401
    return jpype.JClass("java.lang.invoke.MethodType").methodType(*classes)


def _class_of(kind: Any, dimensions: int) -> Any:  # noqa: ANN401
    return jpype.JArray(kind, dimensions).class_
