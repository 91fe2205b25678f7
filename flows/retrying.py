"""Which failures a task tries again: those of a database or server that is away, never those of the data."""

from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from sqlalchemy.exc import InterfaceError, OperationalError

DELAYS_S = [1.0, 3.0, 10.0]
_BY_NAME = {"LogUnreadable"}  # of a module that loads Polars; named, so that this one stays light


def is_outage(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a task failed for something that passes."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, OperationalError | InterfaceError) or type(error).__name__ in _BY_NAME
