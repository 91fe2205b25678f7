"""The deployments that this process serves, each with its loaded model, kept in step with the database."""

import asyncio
import logging
import math
import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from api.lease import Lease
from api.privacy.serving import Privacy
from api.scoring.flights import Flights
from api.scoring.mojo import MojoScorer
from api.scoring.pace import Pace
from api.scoring.routing import Routes, routes_of
from api.scoring.shelf import ModelUnloadable, ScorerShelf
from monitoring.store.database import AWAY, Database
from monitoring.store.deployments import ServingFacts, read_active_facts, read_serving_facts
from monitoring.store.errors import NoAnswer, NotFound
from monitoring.store.projects import find_project

logger = logging.getLogger(__name__)

_LOADERS = 2
_PATIENCE_S, _SILENCE_S = 2.0, 1.0
_T = TypeVar("_T")

PrivacyOf = Callable[[ServingFacts], Privacy | None]


@dataclass(frozen=True, eq=False, slots=True)
class Served:
    """A deployment as it was last read; `scorer` is None unless it is active and its model loads.

    `failure` says why an active one's model does not load. `privacy` is what masks its data, if anything does.
    """

    facts: ServingFacts
    scorer: MojoScorer | None
    failure: str | None = None
    privacy: Privacy | None = None
    pace: Pace = field(default_factory=Pace)

    @property
    def is_whole(self) -> bool:
        """Say whether nothing failed in its making, so that it may be remembered."""
        return self.failure is None and (self.privacy is None or self.privacy.failure is None)

    @property
    def deployment_hex(self) -> str:
        """The deployment's id as the log writes it."""
        return self.facts.deployment_id.hex


class Registry:
    """Remembers deployments and routes until told that they changed.

    Routes count only while the lease covers them. What cannot be read anew, the database being away, stays as it was
    known: predictions by a deployment's id go on.
    `deployment` and `routes` belong to the event loop; `forget_*` may be called from any thread.
    """

    def __init__(self, database: Database, shelf: ScorerShelf, privacy_of: PrivacyOf, lease: Lease) -> None:
        self.shelf = shelf
        self._privacy_of = privacy_of
        self._database = database
        self._lease = lease
        self._silent_until = -math.inf
        self._lock = threading.Lock()
        self._changes: Counter[object] = Counter()
        self._served: dict[uuid.UUID, Served] = {}
        self._outdated: dict[uuid.UUID, Served] = {}
        self._routes: dict[uuid.UUID, Routes] = {}
        self._loaders = ThreadPoolExecutor(_LOADERS, thread_name_prefix="model-loader")
        self._deployment_loads = Flights(self._loaders, self._load_deployment)
        self._routes_loads = Flights(self._loaders, self._load_routes)

    def close(self) -> None:
        """Let go of every model and stop loading."""
        self._loaders.shutdown(wait=False, cancel_futures=True)
        self._served, self._outdated, self._routes = {}, {}, {}

    def __len__(self) -> int:
        return sum(served.scorer is not None for served in (self._outdated | self._served).values())

    async def deployment(self, deployment_id: uuid.UUID) -> Served:
        """Return a deployment, with its model when it is active.

        Raises NotFound, or what the database raises when it is away.
        """
        served = self._served.get(deployment_id)
        return served if served is not None else await self._reread(deployment_id)

    async def _reread(self, deployment_id: uuid.UUID) -> Served:
        known = self._outdated.get(deployment_id)
        if known is not None and not self._lease.is_hearing:
            return known
        try:
            return await self._patiently(self._deployment_loads.join(deployment_id))
        except AWAY:
            if known is None:
                raise
            return known

    async def routes(self, project_id: uuid.UUID) -> Routes:
        """Return where a project's traffic goes: as remembered while the lease covers that, else as the database says.

        Raises NotFound, or what the database raises.
        """
        routes = self._routes.get(project_id)
        if routes is not None and self._lease.covers_memory():
            return routes
        loads = self._routes_loads
        return await self._patiently(loads.join(project_id) if self._lease.is_held else loads.join_fresh(project_id))

    async def chosen_now(self, project_id: uuid.UUID, choose: Callable[[Routes], uuid.UUID | None]) -> Served | None:
        """Return what `choose` picks out of the routes as the database has them, read with it in one look.

        It was active at that instant, whatever happened since: a request always finds somebody to answer it.
        """

        def look() -> Served | None:
            with self._database.transaction() as session:
                active = read_active_facts(session, project_id)
            chosen = choose(routes_of(active))
            return next((self._serve(facts) for facts in active if facts.deployment_id == chosen), None)

        return await self._patiently(self._in_loader(look))

    async def _patiently(self, load: Coroutine[Any, Any, _T]) -> _T:
        """Wait for what the database answers. Raises NoAnswer when that takes long and nothing is heard of it."""
        lease = self._lease
        loading = asyncio.create_task(load)
        try:
            while True:
                is_silent = not lease.is_hearing and lease.clock() < self._silent_until
                if (await asyncio.wait({loading}, timeout=0 if is_silent else _PATIENCE_S))[0]:
                    return loading.result()
                if not lease.is_hearing:
                    self._silent_until = self._silent_until if is_silent else lease.clock() + _SILENCE_S
                    raise NoAnswer("The database does not answer just now")
        finally:
            loading.cancel()

    def forget_deployment(self, deployment_id: uuid.UUID) -> None:
        """Read the deployment anew at its next use; its model stays loaded until then."""
        with self._lock:
            self._changes[deployment_id] += 1
            served = self._served.pop(deployment_id, None)
            if served is not None:
                self._outdated[deployment_id] = served

    def forget_project(self, project_id: uuid.UUID) -> None:
        """Read the project's routes anew at their next use."""
        with self._lock:
            self._changes[project_id] += 1
            self._routes.pop(project_id, None)

    def forget_all(self) -> None:
        """Read everything anew: changes may have gone unheard."""
        with self._lock:
            self._changes[None] += 1
            self._outdated |= self._served
            self._served, self._routes = {}, {}

    def apply(self, project_id: uuid.UUID, deployment_ids: Sequence[uuid.UUID]) -> None:
        """Serve by what the database says now of these deployments and of the project's routes; blocks."""
        self.forget_project(project_id)
        for deployment_id in deployment_ids:
            self.forget_deployment(deployment_id)
        for deployment_id in deployment_ids:
            try:
                self._load_deployment(deployment_id)
            except Exception as error:
                logger.warning("deployment %s cannot be loaded now: %s", deployment_id, error)

    async def refresh(self, deployment_id: uuid.UUID) -> bool:
        """Read a deployment now, so that its next request need not wait. Says whether it was read."""
        try:
            if deployment_id not in self._served:
                await self._deployment_loads.join(deployment_id)
        except NotFound:
            self._outdated.pop(deployment_id, None)
        except Exception as error:
            logger.warning("deployment %s cannot be loaded now: %s", deployment_id, error)
            return False
        return True

    async def refresh_routes(self, project_id: uuid.UUID) -> bool:
        """Read a project's routes now. Says whether they were read."""
        try:
            if project_id not in self._routes:
                await self._routes_loads.join(project_id)
        except NotFound:
            return True
        except Exception as error:
            logger.warning("the routes of project %s cannot be read now: %s", project_id, error)
            return False
        return True

    async def refresh_active(self) -> bool:
        """Load every active deployment and all routes; let go of what is not active. Says whether all was read."""
        facts = await self._in_loader(self._read_active)
        wanted = dict.fromkeys([*(each.deployment_id for each in facts), *self._outdated])
        return all([await self.refresh(deployment_id) for deployment_id in wanted])

    async def forget_changed(self) -> None:
        """Compare all that is remembered with the database and forget what differs, heard of or not."""
        known, routed = dict(self._served), dict(self._routes)
        facts = await self._in_loader(lambda: self._read_facts(list(known)))
        routes = await self._in_loader(lambda: _routes_by_project(self._read_active()))
        for deployment_id, served in known.items():
            if facts.get(deployment_id) != served.facts:
                self.forget_deployment(deployment_id)
                await self.refresh(deployment_id)
        for project_id, remembered in routed.items():
            if routes.get(project_id, routes_of([])) != remembered:
                self.forget_project(project_id)

    async def _in_loader(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._loaders, work)

    def _version(self, key: uuid.UUID) -> tuple[int, int]:
        return self._changes[key], self._changes[None]

    def _load_deployment(self, deployment_id: uuid.UUID) -> Served:
        while True:
            version = self._version(deployment_id)
            facts = self._read_facts([deployment_id]).get(deployment_id)
            if facts is None:
                raise NotFound("deployment", deployment_id)
            served = self._serve(facts)
            with self._lock:
                if version == self._version(deployment_id):
                    if served.is_whole:
                        self._served[deployment_id] = served
                    self._outdated.pop(deployment_id, None)
                    return served

    def _serve(self, facts: ServingFacts) -> Served:
        privacy = self._privacy_of(facts)
        if not facts.is_active:
            return Served(facts, None, privacy=privacy)
        try:
            return Served(facts, self.shelf.get(facts.mojo_sha256), privacy=privacy)
        except ModelUnloadable as error:
            logger.warning("deployment %s cannot load its model: %s", facts.deployment_id, error.reason)
            return Served(facts, None, error.reason, privacy)

    def _load_routes(self, project_id: uuid.UUID) -> Routes:
        while True:
            version = self._version(project_id)
            with self._database.transaction() as session:
                find_project(session, project_id)
                routes = routes_of(read_active_facts(session, project_id))
            with self._lock:
                if version == self._version(project_id):
                    self._routes[project_id] = routes
                    return routes

    def _read_facts(self, deployment_ids: list[uuid.UUID]) -> dict[uuid.UUID, ServingFacts]:
        with self._database.transaction() as session:
            return read_serving_facts(session, deployment_ids)

    def _read_active(self) -> list[ServingFacts]:
        """Read all active deployments, and remember the routes that follow where nothing has changed meanwhile."""
        with self._lock:
            before = self._changes.copy()
        with self._database.transaction() as session:
            active = read_active_facts(session)
        routes = _routes_by_project(active)
        with self._lock:
            for project_id in routes:
                if self._version(project_id) == (before[project_id], before[None]):
                    self._routes.setdefault(project_id, routes[project_id])
        return active


def _routes_by_project(active: Sequence[ServingFacts]) -> dict[uuid.UUID, Routes]:
    by_project: defaultdict[uuid.UUID, list[ServingFacts]] = defaultdict(list)
    for facts in active:
        by_project[facts.project_id].append(facts)
    return {project_id: routes_of(each) for project_id, each in by_project.items()}
