"""The API as `pilothouse api` runs it, one worker, with one more route: the constant answer to compare predictions to.

Run as `python -m tests.benchmarks.api_process PORT [--without-log]` with the usual settings in the environment.
"""

import sys

import msgspec
import uvicorn
from litestar import Response, post
from litestar.params import JSONBody

from api import app as composition
from api.connections import bounded_config
from api.inference_log.batch import Ending
from api.inference_log.rows import LoggedRequest
from api.inference_log.writer import LogWriter
from api.schemas.predictions import PredictRequest
from api.settings import Settings

CONSTANT_PATH = "/benchmark/constant"
WITHOUT_LOG = "--without-log"
_CONSTANT = msgspec.json.encode(
    {"predictions": [{"prediction": "0", "probability": 0.5, "probabilities": {"0": 0.5, "1": 0.5}}], "latency_ms": 0.1}
)


@post(CONSTANT_PATH, status_code=200)
async def answer_constant(data: JSONBody[PredictRequest]) -> Response[bytes]:
    """Decode the body, and answer what was prepared."""
    assert data.inputs
    return Response(_CONSTANT, media_type="application/json")


async def keep_nothing(_: LogWriter, __: LoggedRequest) -> Ending:
    """Take rows and lose them: to see what keeping them costs. No product setting does this."""
    return "stored"


def main() -> None:
    """Serve until told to stop."""
    if WITHOUT_LOG in sys.argv:
        LogWriter.append = keep_nothing  # type: ignore[assignment, method-assign]
    composition.ROUTES.append(answer_constant)
    settings = Settings(port=int(sys.argv[1]))
    uvicorn.Server(bounded_config(composition.create_app(settings), settings)).run()


if __name__ == "__main__":
    main()
