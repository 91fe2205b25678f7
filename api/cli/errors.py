"""Expected failures as one sentence on stderr, never a traceback."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click
from pydantic import ValidationError

from api.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")
_EXPECTED = (RuntimeError, ValueError, LookupError, OSError)


def read_settings() -> Settings:
    """Return the settings of the environment, the home absolute. Raises ClickException naming a wrong variable."""
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"PILOTHOUSE_{'_'.join(str(part) for part in first['loc']).upper()}"
        raise click.ClickException(f"{name} is wrong: {first['msg']}") from error
    return settings.model_copy(update={"home": settings.home.expanduser().absolute()})


def expected(function: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors that a person can act on into click's one-line errors (exit code 1)."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except _EXPECTED as error:
            raise click.ClickException(str(error).strip() or type(error).__name__) from error

    return wrapped
