"""Scorers over the trained models, loaded once each."""

from collections.abc import Callable
from functools import cache

import pytest

from api.scoring.mojo import MojoScorer
from tests.h2o_models import TrainedModels


@pytest.fixture(scope="session")
def scorer(h2o_models: TrainedModels) -> Callable[[str], MojoScorer]:
    """Return the scorer of a trained model by its name."""
    return cache(lambda name: MojoScorer.load(h2o_models[name].mojo))
