"""A world to watch, and receivers to tell of it."""

from collections.abc import Iterator

import pytest

from monitoring.store.database import Database
from tests.integration.watch.receivers import Receiver, serving
from tests.integration.watch.world import World


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with serving(Receiver()) as started:
        yield started
