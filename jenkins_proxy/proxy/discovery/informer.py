"""From the registry to the desired state: watches routes, drains and instances; each change enqueues its services."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.model import Address, Instance
from jenkins_proxy.proxy.discovery.blocking_query import Reachability
from jenkins_proxy.proxy.discovery.readiness import ReadinessGate
from jenkins_proxy.proxy.discovery.resolver import Resolver
from jenkins_proxy.proxy.discovery.service_watcher import WAIT, ServiceWatcher
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.route_store import RouteCache, RouteStore, StoredRoute

_HELD = 60.0


class Informer:
    """The watches."""

    def __init__(
        self,
        registry: AsyncConsul,
        *,
        store: RouteStore,
        local: RouteCache,
        desired: DesiredState,
        names: Resolver,
        readiness: ReadinessGate,
        loop: ReconcileLoop,
        events: EventBus,
        tasks: TaskGroup,
        connections: int,
    ) -> None:
        self._store = store
        self._local = local
        self._desired = desired
        self._resolver = names
        self._readiness = readiness
        self._loop = loop
        self._events = events
        self._tasks = tasks
        self._unsaved = asyncio.Event()
        self.reachability = Reachability(
            lambda reason: events.publish("registry-lost", detail=reason),
            lambda away: events.publish("registry-back", seconds=away),
        )
        self._watcher = ServiceWatcher(registry, self.reachability, self._see, tasks=tasks, connections=connections)
        self._began = time.monotonic()
        self._held: set[str] = set()
        self._bad: Mapping[str, str] = {}
        self._disk = ""

    @property
    def problem(self) -> str:
        """What is wrong with an entry of the store or with the disk; empty when nothing is."""
        return next(iter(self._bad.values()), self._disk)

    def start(self) -> None:
        self._watcher.follow(self._desired.registry_names)
        for work in (self._watch_routes(), self._watch_drains(), self._save()):
            self._tasks.start(work)

    def routes_changed(self, services: Iterable[str]) -> None:
        """The routes of these are others now: follow what they need, and keep them on disk."""
        for name in services:
            self._events.publish("route-put" if name in self._desired.routes else "route-removed", name)
        self._desired.forget_instances()
        self._watcher.follow(self._desired.registry_names)
        self._loop.enqueue(services)
        self._unsaved.set()

    def learn(
        self, registry_name: str, instances: Sequence[Instance], notified_at: float = 0.0, *, proven: bool = False
    ) -> None:
        """Take the instances of a service from the registry.

        :param notified_at: the monotonic time at which the registry told.
        :param proven: whether they may serve without being asked.
        """
        self._held.discard(registry_name)
        before = self._desired.known_instances(registry_name)
        if not self._desired.take_instances(registry_name, instances):
            return
        self._readiness.check(registry_name, instances if proven else before, instances, notified_at)
        services = self._desired.services_of(registry_name)
        self._loop.enqueue(services, notified_at)
        for service in services:
            outlived = self._desired.outlived_drains(service)
            if outlived:
                self._tasks.start(self._forget_drains(service, outlived))
        self._tasks.start(self._learn_names(services, instances))

    async def _watch_routes(self) -> None:
        async for stored, _index_changed in self.reachability.watch(functools.partial(self._store.routes, wait=WAIT)):
            store_id = self._desired.store_id
            changed, missing = self._desired.take_routes(stored)
            if missing or not stored.store_id:
                self._tasks.start(self._write_again(missing))
            for name in stored.bad.keys() - self._bad.keys():
                self._events.publish("route-refused", name, detail=stored.bad[name])
            self._bad = stored.bad
            if changed:
                self.routes_changed(changed)
            if self._desired.store_id != store_id:
                self._unsaved.set()

    async def _watch_drains(self) -> None:
        async for drains, _index_changed in self.reachability.watch(functools.partial(self._store.drains, wait=WAIT)):
            changed = self._desired.take_drains(drains)
            if changed:
                self._loop.enqueue(changed)
                self._unsaved.set()

    def _see(self, registry_name: str, instances: Sequence[Instance], notified_at: float) -> None:
        if instances or self._patience() <= 0:
            self.learn(registry_name, instances, notified_at)
        elif registry_name not in self._held:
            self._held.add(registry_name)
            self._tasks.start(self._see_later(registry_name))

    def _patience(self) -> float:
        """Seconds for which "no instances" is not believed.

        A registry that was started again is empty until the agents have registered everything once more: what served
        before goes on until then.
        """
        return max(self._began, self.reachability.back_at) + _HELD - time.monotonic()

    async def _see_later(self, registry_name: str) -> None:
        while self._patience() > 0:  # noqa: ASYNC110 - it is time that passes, no event
            await asyncio.sleep(self._patience())
        if registry_name in self._held:
            self.learn(registry_name, ())

    async def _learn_names(self, services: Iterable[str], instances: Iterable[Instance]) -> None:
        if await self._resolver.lookup(instance.address for instance in instances):
            self._loop.enqueue(services)

    async def _write_again(self, missing: Iterable[StoredRoute]) -> None:
        """The registry lost its data: give it our routes back, and mark it when they are all there."""
        with contextlib.suppress(RegistryError):
            for one in missing:
                version = await self._store.put_route(one.route)
                if self._desired.routes.get(one.route.service) == one:
                    self._desired.put_route(StoredRoute(one.route, version))
            await self._store.mark_store_id()

    async def _forget_drains(self, service: str, addresses: Collection[Address]) -> None:
        with contextlib.suppress(RegistryError):
            self._desired.put_drains(service, await self._store.change_drains(service, remove=addresses))

    async def _save(self) -> None:
        while True:
            await self._unsaved.wait()
            self._unsaved.clear()
            try:
                await self._local.save(self._desired.routes, self._desired.drains, self._desired.store_id)
                self._disk = ""
            except OSError as error:
                self._disk = f"cannot keep the routes on disk: {error}"
