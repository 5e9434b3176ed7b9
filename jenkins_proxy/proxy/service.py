"""The service behind the API: desired routes and live instances in, the least change to HAProxy out.

What the registry tells comes in through :class:`Informer`, what the API asks for through the methods here; both change
the :class:`DesiredState` and mark services, and :class:`ReconcileLoop` brings HAProxy to it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jenkins_proxy.aio import TaskGroup, with_timeout
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy import admission
from jenkins_proxy.proxy.discovery.informer import Informer
from jenkins_proxy.proxy.discovery.readiness import ReadinessGate
from jenkins_proxy.proxy.discovery.resolver import Resolver
from jenkins_proxy.proxy.events import EventBus, Subscription
from jenkins_proxy.proxy.haproxy import output, route_table
from jenkins_proxy.proxy.haproxy.applier import Applier
from jenkins_proxy.proxy.haproxy.config_dir import _probe_key
from jenkins_proxy.proxy.haproxy.diff import Running, _way, difference
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.haproxy.render import Backend
from jenkins_proxy.proxy.models import RUNTIME, ConflictError, NotRoutedError, ProxyState, RouteState
from jenkins_proxy.proxy.reconcile import desired_state
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState, live
from jenkins_proxy.proxy.reconcile.heartbeat import Heartbeat
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.route_store import RouteCache, RouteStore, StoredRoute
from jenkins_proxy.retry import Deadline

_LONGEST_QUERY = 60.0


class ProxyService:
    """Holds HAProxy at what the routes and the registry say.

    :param registry: the registry's client; it is closed by whoever made it.
    :param haproxy: started and stopped by this service.
    :param state_dir: where routes and the probe key are kept for a start without the registry.
    :param name: this proxy's name among several, for ``jenkins-proxy/proxies/<name>``.
    :param connections: how many connections to the registry it may hold.
    """

    def __init__(
        self, registry: AsyncConsul, haproxy: HAProxy, *, state_dir: Path, name: str, connections: int = 100
    ) -> None:
        self._registry = registry
        self._haproxy = haproxy
        self._state_dir = state_dir
        self._events = EventBus()
        self._tasks = TaskGroup(self._failed)
        self._bug = ""
        self._applier = Applier(haproxy)
        self._store = RouteStore(registry)
        local = RouteCache(state_dir / "routes.json")
        self._resolver = Resolver(self._names_changed)
        self._readiness = ReadinessGate(self._resolver.resolve, self._instance_answered, self._tasks)
        stored, drains = local.read()
        before = output.servers(haproxy.files.read())
        self._desired = DesiredState(
            self._resolver.resolve,
            stored,
            drains,
            {name: before.get(route_table.backend_name(name), frozenset()) for name in stored.routes},
            self._readiness.unproven,
        )
        self._heartbeat = Heartbeat(registry, self._store, name, self._served)
        self._loop = ReconcileLoop(self._applier, self._desired, self._events, self._heartbeat.changed)
        self._informer = Informer(
            registry,
            store=self._store,
            local=local,
            desired=self._desired,
            names=self._resolver,
            readiness=self._readiness,
            loop=self._loop,
            events=self._events,
            tasks=self._tasks,
            connections=connections,
        )
        self.probe_key = _probe_key(state_dir / "probe.key")
        """The value of the header ``X-Jenkins-Proxy-Probe`` that makes HAProxy name the instance that answered."""

    async def start(self) -> None:
        """Serve what the state directory knows at once, then follow the registry.

        :raises UsageError: when HAProxy is missing, too old, or cannot bind.
        """
        self._haproxy.died = self._died
        backends = self._desired.backends(self._desired.routes, {})
        version = output.version(self._haproxy.files.read()) + 1
        applied = await self._applier.start(backends, version, self.probe_key)
        self._loop.refused = dict(applied.refused)
        self._informer.start()
        for work in (
            self._loop.run(),
            self._applier.reap(),
            self._applier.write(),
            self._resolver.refresh(),
            self._heartbeat.keep(),
        ):
            self._tasks.start(work)

    async def stop(self) -> None:
        """End HAProxy and every task. Requests in flight get a few seconds."""
        await self._tasks.end()
        await asyncio.gather(self._heartbeat.end(), self._haproxy.stop())

    async def put(self, route: Route, *, allow_empty: bool = False, dry_run: bool = False) -> RouteState:
        """Make a route serve; answers when HAProxy serves it with at least one live instance.

        :param allow_empty: take the route even when there is no live instance.
        :param dry_run: change nothing; the answer tells what would be, with ``diff``.
        :raises ConflictError: no live instance, or another service holds one of its paths (409); the text lists them.
        :raises UsageError: HAProxy refuses the route (400).
        :raises ProxyError: HAProxy could not be reloaded. RegistryError: the registry does not answer (503).
        """
        begin = time.monotonic()
        admission.refuse_conflict(route, (one.route for one in self._desired.routes.values()))
        instances = await self._read_instances(route)
        if not allow_empty:
            admission.refuse_empty(route, instances, self._desired.drained_ids(route.service), self._resolver.resolve)
        read = time.monotonic()
        if dry_run:
            return await self._preview(route, instances)
        if self._runs(route.service) != route:
            await self._applier.check(self._fresh(route, instances))
        before = self._applier.running.get(route.service)
        if before and before.serving:
            # Users have others until these listen: the rest of a scaling, or the other color.
            await self._readiness.wait_ready(route.registry_name, self._newcomers(instances, before))
        # Before the route is stored, as the watch of the store may be faster than its answer, and after it, as what no
        # route needs is forgotten.
        self._learn(route, instances)
        version = await self._store.put_route(route)
        stored = time.monotonic()
        if self._desired.put_route(StoredRoute(route, version)):
            self._informer.routes_changed([route.service])
        self._learn(route, instances)
        await self._loop.reconcile([route.service])
        if route.service in self._loop.refused:
            raise ProxyError(f"HAProxy refuses the route of {route.service}: {self._loop.refused[route.service]}")
        timings = {"read": read - begin, "store": stored - read, "apply": time.monotonic() - stored}
        now = self._applier.running.get(route.service)
        return self._answer(route.service, applied=_way(before, now), timings=timings)

    async def remove(self, service: str) -> bool:
        """Take a route away; False when there was none.

        :raises ProxyError: HAProxy could not be reloaded. RegistryError: the registry does not answer (503).
        """
        known = service in self._desired.routes
        existed = await self._store.remove_route(service)
        if self._desired.remove_route(service):
            self._informer.routes_changed([service])
        await self._loop.reconcile([service])
        return existed or known

    def removal(self, service: str) -> str:
        """How the configuration would change without a route. :raises NotRoutedError: there is none (404)."""
        self._existing(service)
        wanted = self._desired.backends(self._desired.routes, self._applier.running)
        wanted.pop(service, None)
        return difference(self._applier.text(), self._applier.text(wanted))

    async def drain(self, service: str, addresses: Sequence[Address], timeout: float) -> RouteState:
        """No new requests to these instances; answers when none is in flight on them.

        :raises ProxyError: requests are still in flight after ``timeout`` seconds; they stay drained.
        :raises NotRoutedError: there is no such route (404).
        """
        route = self._existing(service)
        deadline = Deadline(timeout)
        ids = {one.address: one.id for one in self._desired.instances(route) or () if one.address in set(addresses)}
        self._desired.put_drains(service, await self._store.change_drains(service, add=ids))
        await self._loop.reconcile([service])
        resolved = [one for address in addresses for one in self._resolver.resolve(address)]
        await self._applier.wait_idle(service, resolved, deadline)
        return self._answer(service, applied=RUNTIME, timings={"drain": deadline.elapsed})

    async def resume(self, service: str, addresses: Sequence[Address]) -> RouteState:
        """The opposite of drain. :raises NotRoutedError: there is no such route (404)."""
        self._existing(service)
        before = self._applier.running.get(service)
        self._desired.put_drains(service, await self._store.change_drains(service, remove=addresses))
        await self._loop.reconcile([service])
        return self._answer(service, applied=_way(before, self._applier.running.get(service)))

    async def reload(self) -> None:
        """Render and reload although nothing changed (Docker Flow: Proxy's ``reload``).

        :raises ProxyError: HAProxy could not be reloaded.
        """
        self._loop.force()
        await self._loop.reconcile()

    def route(self, service: str) -> RouteState | None:
        """A route and what is behind it."""
        return self._answer(service) if service in self._desired.routes else None

    def state(self) -> ProxyState:
        """The whole."""
        reach = self._informer.reachability
        problems = (self._bug, self._loop.problem, self._applier.problem, self._informer.problem, reach.reason)
        return ProxyState(
            version=self._applier.version,
            serving=self._haproxy.serving and not self._loop.problem,
            routes=tuple(self._answer(name) for name in self._desired.routes),
            registry_lost_since=reach.lost_since,
            problem=next(filter(None, problems), ""),
        )

    def config(self) -> str:
        """The text of the haproxy.cfg that runs, from its file, which may be a moment behind."""
        return self._haproxy.files.read()

    def text(self) -> str:
        """The same without the file."""
        return self._applier.text()

    def events(self) -> Subscription:
        """Every event from now on, as an asynchronous iterator. A slow reader loses the oldest."""
        return self._events.subscribe()

    async def _read_instances(self, route: Route) -> Sequence[Instance]:
        """What stands behind a route, asked for now: a watch may be a moment behind."""
        outside = desired_state.outside(route)
        instances = (outside,) if outside else (await self._registry.instances(route.registry_name))[0]
        await self._resolver.lookup(one.address for one in instances)
        return instances

    def _learn(self, route: Route, instances: Sequence[Instance]) -> None:
        if not route.outbound_hostname:
            self._informer.learn(route.registry_name, instances, proven=True)

    def _newcomers(self, instances: Sequence[Instance], running: Running) -> list[Instance]:
        return [one for one in instances if not running.serving.intersection(self._resolver.resolve(one.address))]

    def _fresh(self, route: Route, instances: Sequence[Instance]) -> Backend:
        return desired_state.backend(
            route, instances, self._desired.drained_ids(route.service), frozenset(), self._resolver.resolve
        )

    async def _preview(self, route: Route, instances: Sequence[Instance]) -> RouteState:
        backend = self._fresh(route, instances)
        await self._applier.check(backend)
        running = self._applier.running
        wanted = {**self._desired.backends(self._desired.routes, running), route.service: backend}
        would_run = Running(route, frozenset(backend.servers))
        return RouteState(
            route,
            version=self._desired.version(route.service),
            instances=self._desired.served(route.service, instances, would_run),
            applied=_way(running.get(route.service), would_run),
            diff=difference(self._applier.text(), self._applier.text(wanted)),
        )

    def _runs(self, service: str) -> Route | None:
        running = self._applier.running.get(service)
        return running.route if running else None

    def _existing(self, service: str) -> Route:
        if service not in self._desired.routes:
            raise NotRoutedError(f"there is no route of {service}", "GET /v1/routes lists them")
        return self._desired.routes[service].route

    def _answer(self, service: str, **done: Any) -> RouteState:
        refused = self._loop.refused.get(service, "")
        running = self._applier.running.get(service)
        return dataclasses.replace(self._desired.state(service, running), refused=refused, **done)

    def _instance_answered(self, registry_name: str, notified_at: float) -> None:
        self._loop.enqueue(self._desired.services_of(registry_name), notified_at)

    def _names_changed(self) -> None:
        self._loop.enqueue(self._desired.routes)

    def _died(self, reason: str) -> None:
        # It starts again from the file, which may be a moment behind: a reload settles it.
        self._events.publish("haproxy-died", detail=reason)
        self._loop.force()

    def _failed(self, error: BaseException) -> None:
        self._bug = f"a part of the daemon ended by a bug: {error!r}"

    def _served(self) -> dict[str, int]:
        """What other proxies and ``put`` elsewhere may compare with: the index of the store that this one serves."""
        return {"version": self._applier.version, "index": self._loop.index}


class RouteWaiter:
    """Puts routes as soon as their services have an instance.

    :param registry: a client of its own: its number of connections bounds how many wait at once, and leaves those of
        the watches alone.
    """

    def __init__(self, proxy_service: ProxyService, registry: AsyncConsul) -> None:
        self._service = proxy_service
        self._registry = registry

    async def put(self, route: Route, *, allow_empty: bool = False, wait: float = 0.0) -> RouteState:
        """As :meth:`ProxyService.put`, and when there is no live instance, again when the first one comes.

        :param wait: seconds to wait for it.
        """
        try:
            return await self._service.put(route, allow_empty=allow_empty)
        except ConflictError:
            # What is refused for another reason, such as a path that another service holds, is not worth a wait.
            await self._service.put(route, allow_empty=True, dry_run=True)
            if not await self._arrives(route, Deadline(wait)):
                raise
        return await self._service.put(route, allow_empty=allow_empty)

    async def _arrives(self, route: Route, deadline: Deadline) -> bool:
        index = 0
        while not route.outbound_hostname and not deadline.expired:
            wait = min(deadline.remaining, _LONGEST_QUERY)
            query = self._registry.instances(route.registry_name, index=index, wait=wait)
            try:
                # The registry adds jitter to a wait: without a limit of ours the answer would come after the deadline.
                instances, index = await with_timeout(query, deadline.remaining)
            except TimeoutError:
                return False
            if live(instances):
                return True
        return False
