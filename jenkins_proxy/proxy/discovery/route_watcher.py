"""Watches routes and drains in the registry's key-value store, and enqueues what they change."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Iterable, Mapping

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.proxy.discovery.blocking_query import Reachability
from jenkins_proxy.proxy.discovery.service_watcher import ServiceWatcher
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.reconcile.persistence import Persistence
from jenkins_proxy.proxy.route_store import Drains, RouteStore, StoredRoute, StoredRoutes
from jenkins_proxy.proxy.timing import DEFAULT, Timing


class RouteWatcher:
    """Brings the routes of the store into the desired state, and lets the instances that they need be watched."""

    def __init__(
        self,
        desired: DesiredState,
        loop: ReconcileLoop,
        *,
        store: RouteStore,
        reachability: Reachability,
        services: ServiceWatcher,
        persistence: Persistence,
        events: EventBus,
        tasks: TaskGroup,
        timing: Timing = DEFAULT,
    ) -> None:
        self._desired = desired
        self._loop = loop
        self._store = store
        self._reachability = reachability
        self._services = services
        self._persistence = persistence
        self._events = events
        self._tasks = tasks
        self._wait = timing.blocking_query
        self._removal = timing.reconcile_retry
        self._bad: Mapping[str, str] = {}

    @property
    def problem(self) -> str:
        """What is wrong with an entry of the store; empty when nothing is."""
        return next(iter(self._bad.values()), "")

    def start(self) -> None:
        """Watch, until the tasks are ended."""
        self._services.follow(self._desired.registry_names)
        self._tasks.keep("the watch of routes", self._watch_routes)
        self._tasks.keep("the watch of drains", self._watch_drains)

    def routes_changed(self, services: Iterable[str]) -> None:
        """The desired routes of these services changed."""
        for name in services:
            self._events.publish("route-put" if name in self._desired.routes else "route-removed", name)
        self.services_changed(services)

    def services_changed(self, services: Iterable[str]) -> None:
        """What is desired of these services changed, and maybe what stands behind them."""
        self._desired.forget_instances()
        self._services.follow(self._desired.registry_names)
        self._loop.enqueue(services)
        self._persistence.changed()

    async def read(self) -> None:
        """Take the routes as the store has them now, as the watch may be a moment behind.

        :raises RegistryError: the registry does not answer.
        """
        stored, _index = await self._store.routes()
        self._take(stored)

    async def _watch_routes(self) -> None:
        query = functools.partial(self._store.routes, wait=self._wait)
        async for stored, index_changed in self._reachability.watch(query):
            self._take(stored)
            # Consul answers a query of a folder without keys after every change of any key: also after what this proxy
            # writes when it was answered.
            if index_changed and stored.store_id:
                self._loop.index_changed()

    def _take(self, stored: StoredRoutes) -> None:
        store_id = self._desired.store_id
        removed = self._desired.removed
        changed, missing = self._desired.take_routes(stored)
        if self._desired.removed != removed:
            self._persistence.changed()
        if missing or self._desired.returned or not stored.store_id:
            self._tasks.start(self._restore(missing, self._desired.returned))
        for name in stored.bad.keys() - self._bad.keys():
            self._events.publish("route-refused", name, detail=stored.bad[name])
        self._bad = stored.bad
        if changed:
            self.routes_changed(changed)
        if self._desired.store_id != store_id:
            self._persistence.changed()

    async def _watch_drains(self) -> None:
        async for (drains, index), index_changed in self._reachability.watch(self._drains):
            changed = self._desired.take_drains(drains, index)
            if changed:
                self._loop.enqueue(changed)
                self._persistence.changed()
            if index_changed and drains:
                self._loop.index_changed()

    async def _drains(self, *, index: int) -> tuple[tuple[Drains, int], int]:
        drains, index = await self._store.drains(index=index, wait=self._wait)
        return (drains, index), index

    async def _restore(self, missing: Iterable[StoredRoute], returned: Mapping[str, int]) -> None:
        """The registry lost its data: give it our routes back, and then the ID that says that they are all there."""
        with contextlib.suppress(RegistryError):
            await self._store.put_removed(self._desired.removed)
            for stored in missing:
                put = await self._store.put_route(stored.route, generation=stored.generation)
                # The report may only have been older than what was put here.
                if put.version != stored.version:
                    detail = "the registry had lost it, and has it again from this proxy"
                    self._events.publish("route-restored", stored.route.service, detail=detail)
                if self._desired.routes.get(stored.route.service) == stored:
                    self._desired.put_route(put)
            await self._store.put_store_id()
            if returned:
                # Whoever removes a route says so first, and then takes it away: that is no news.
                await asyncio.sleep(self._removal)
            for service, version in returned.items():
                if await self._store.take_away(service, version):
                    detail = "it was removed before: the registry had lost that, and it was brought back"
                    self._events.publish("route-removed", service, detail=detail)
