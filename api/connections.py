"""How the API listens: uvicorn, with bounds on what its connections may cost."""

import resource

import uvicorn
from litestar import Litestar

from api.settings import Settings

_STOP_TIMEOUT_S = 8


def bounded_config(app: Litestar, settings: Settings, **more: object) -> uvicorn.Config:
    """Return uvicorn's configuration for serving `app`; `more` overrides or adds to its arguments."""
    raise_file_limit()
    arguments = {
        "host": settings.host,
        "port": settings.port,
        "loop": "uvloop",
        "http": "httptools",
        "ws": "none",
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": _STOP_TIMEOUT_S,
    }
    return uvicorn.Config(app, **{**arguments, **more})  # type: ignore[arg-type]


def raise_file_limit() -> None:
    """Allow this process as many open files as it may allow itself: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
