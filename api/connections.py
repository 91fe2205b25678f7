"""How the API listens: uvicorn, with bounds on what its connections may cost."""

import resource

from litestar import Litestar

from api.http_protocol import BoundedConfig, BoundedProtocol
from api.settings import Settings

_STOP_TIMEOUT_S = 8
_LONGEST_IDLE_S = 3600  # uvicorn's own timer; the crowd's bounds come first


def bounded_config(app: Litestar, settings: Settings, **more: object) -> BoundedConfig:
    """Return uvicorn's configuration for serving `app`; `more` overrides or adds to its arguments.

    `app` has an Admission and a Crowd in its state, as `create_app` makes it.
    """
    raise_file_limit()
    arguments = {
        "host": settings.host,
        "port": settings.port,
        "loop": "uvloop",
        "http": BoundedProtocol,
        "ws": "none",
        "access_log": False,
        "server_header": False,
        "timeout_keep_alive": _LONGEST_IDLE_S,
        "timeout_graceful_shutdown": _STOP_TIMEOUT_S,
    }
    config = BoundedConfig(app, **{**arguments, **more})  # type: ignore[arg-type]
    config.admission, config.crowd = app.state.admission, app.state.crowd
    return config


def raise_file_limit() -> None:
    """Allow this process as many open files as it may allow itself: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
