"""Which deployment answers a request to a project: production, or a canary by its share."""

import hashlib
import random
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from monitoring.store.deployments import ServingFacts


@dataclass(frozen=True)
class Routes:
    """A project's traffic: canaries with their percentages, oldest first; production takes what they leave."""

    production: uuid.UUID | None
    canaries: Sequence[tuple[uuid.UUID, int]]


def routes_of(active: Iterable[ServingFacts]) -> Routes:
    """Return the routes of a project out of its active deployments, oldest first.

    A staging deployment at 100 is no canary: only its own id reaches it.
    """
    active = list(active)
    production = next((facts.deployment_id for facts in active if facts.stage == "production"), None)
    canaries = [
        (facts.deployment_id, facts.traffic_percent)
        for facts in active
        if facts.stage == "staging" and facts.traffic_percent < 100
    ]
    return Routes(production, canaries)


def draw(routing_key: str | None) -> float:
    """Return a number in [0, 100): always the same for the same key, a random one without."""
    if routing_key is None:
        return random.random() * 100  # noqa: S311 - a share of traffic, no secret
    digest = hashlib.sha256(routing_key.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) / 2**64 * 100


def choose(routes: Routes, drawn: float) -> uuid.UUID | None:
    """Return the deployment that answers; None when nothing is in production."""
    if routes.production is None:
        return None
    reached = 0
    for canary, percent in routes.canaries:
        reached += percent
        if drawn < reached:
            return canary
    return routes.production
