"""The service behind the API: what callers ask for becomes desired state, and is served when they get their answer.

What the registry reports comes in beside it, through :class:`Discovery`. Both change the :class:`DesiredState` and
enqueue services, and the :class:`ReconcileLoop` brings HAProxy to it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Iterator, Mapping

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Route
from jenkins_proxy.proxy.discovery.discovery import Discovery
from jenkins_proxy.proxy.discovery.route_readiness import Readiness
from jenkins_proxy.proxy.haproxy.applier import Applier
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState
from jenkins_proxy.proxy.haproxy.diff import means
from jenkins_proxy.proxy.haproxy.process import HAProxy
from jenkins_proxy.proxy.hold_store import HoldStore
from jenkins_proxy.proxy.models import NONE, ConflictError, NotRoutedError, Progress, ProxyState, Removal, RouteState
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.instances import Reading
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.reconcile.peers import Goal, Peers
from jenkins_proxy.proxy.reconcile.persistence import Persistence
from jenkins_proxy.proxy.route_store import RouteStore
from jenkins_proxy.proxy.service import admission
from jenkins_proxy.proxy.service.draining import Draining
from jenkins_proxy.proxy.service.preview import Preview
from jenkins_proxy.proxy.service.take_over import remainders
from jenkins_proxy.proxy.timing import DEFAULT, Timing


class ProxyService:
    """Puts, removes, drains and shows routes.

    :param probe_key: the value of the header ``X-Jenkins-Proxy-Probe`` that makes HAProxy name the instance that
        answered.
    """

    def __init__(
        self,
        desired: DesiredState,
        loop: ReconcileLoop,
        *,
        store: RouteStore,
        hold_store: HoldStore,
        discovery: Discovery,
        persistence: Persistence,
        applier: Applier,
        haproxy: HAProxy,
        tasks: TaskGroup,
        probe_key: str,
        peers: Peers,
        timing: Timing = DEFAULT,
    ) -> None:
        self._desired = desired
        self._loop = loop
        self._store = store
        self._hold_store = hold_store
        self._discovery = discovery
        self._persistence = persistence
        self._applier = applier
        self._haproxy = haproxy
        self.probe_key = probe_key
        self._peers = peers
        self._timing = timing
        self._tasks = tasks
        self._bug = ""
        self._preview = Preview(desired, applier)
        draining = Draining(
            desired,
            loop,
            store=store,
            applier=applier,
            peers=peers,
            check=self._existing,
            state=self._state,
            timing=timing,
        )
        self.drain, self.resume = draining.drain, draining.resume

    async def put(
        self,
        route: Route,
        *,
        allow_empty: bool = False,
        dry_run: bool = False,
        wait: float | None = None,
        take_over: bool = False,
        instead_of: Collection[str] = (),
        proxies: float | None = None,
    ) -> RouteState:
        """Make a route serve; answers when HAProxy serves it with at least one live instance that is ready, and when
        every other live proxy does, too, or names those that lag.

        :param allow_empty: take the route even when there is no such instance.
        :param dry_run: change nothing; the answer says what would be, with ``diff``.
        :param wait: seconds to wait until an instance has answered the route's check; None: ``timing.ready_wait``.
        :param take_over: take the route's paths and domains from the routes of other services, once it serves.
        :param instead_of: services whose routes the caller changes or removes next: what they hold is no conflict.
        :param proxies: seconds to wait for the other proxies; None: ``timing.proxies_wait``.
        :raises NotReadyError: none has answered in that time (409); the text lists them.
        :raises ConflictError: no live instance, or another service holds one of its paths (409); the text lists them.
        :raises UsageError: HAProxy refuses the route (400).
        :raises ProxyError: HAProxy could not be reloaded. RegistryError: the registry does not answer (503).
        """
        begin = time.monotonic()
        service = route.service
        admission.refuse_unbound(route, self._haproxy.options.ports, self._haproxy.options.tcp_ports)
        taken = self.taken_by(route, instead_of) if take_over else {}
        admission.refuse_conflict(route, self._others({*taken, *instead_of}), self._haproxy.options.route_defaults)
        if not dry_run:
            # A deploy asks by a dry run while the one before it has its lock still, or was killed.
            admission.refuse_promoted(self._desired.holds.get(service))
        reading = await self._discovery.read_instances(route)
        instances = reading.instances
        if not allow_empty:
            drained_ids = self._desired.drained_ids(service)
            admission.refuse_empty(route, instances, drained_ids, self._desired.hosts.resolve)
        if dry_run:
            return await self._preview.put(route, instances, taken)
        before = self._applier.running.get(service)
        if before is None or before.route != route:
            await self._applier.check(self._preview.backend(route, instances))
        readiness = await self._wait_ready(route, reading, before, allow_empty, wait)
        read = time.monotonic()
        # Before the route is stored, as the watch of the store may be faster than its answer, and after it, as what no
        # route needs is forgotten.
        self._discovery.take_instances(route, readiness)
        put = await self._store.put_route(route)
        stored = time.monotonic()
        if self._desired.put_route(put):
            self._discovery.route_changed(service)
        self._discovery.take_instances(route, readiness)
        await self._loop.reconcile([service])
        if service in self._loop.refused:
            raise ProxyError(f"HAProxy refuses the route of {service}: {self._loop.refused[service]}")
        version = max(put.version, await self._give_up(taken, proxies))
        timings = {"read": read - begin, "store": stored - read, "apply": time.monotonic() - stored}
        state = self._state(service, applied=means(before, self._applier.running.get(service)), timings=timings)
        goal = Goal(routes=version, service="" if allow_empty else service)
        return dataclasses.replace(state, proxies=await self._wait_peers(goal, proxies))

    def taken_by(self, route: Route, instead_of: Collection[str] = ()) -> Mapping[str, Route | None]:
        """What would be left of the routes of others, by their services, if this one took its paths and domains.

        :param instead_of: as of :meth:`put`.
        :raises ConflictError: a deploy holds one of these services.
        """
        taken = remainders(route, self._others(instead_of), self._haproxy.options.route_defaults)
        for service in taken:
            hold = self._desired.holds.get(service)
            if hold:
                raise ConflictError(hold.conflict(), admission.end_hint(service))
        return taken

    def _others(self, without: Collection[str]) -> Iterator[Route]:
        """All routes but those of some services."""
        return (own for own in self._desired.all_routes if own.service not in without)

    async def _give_up(self, taken: Mapping[str, Route | None], proxies: float | None) -> int:
        """Leave to the routes of others what is left of them. :return: the last version of them; 0 where none is."""
        last = 0
        for service, left in taken.items():
            if left is None:
                await self.remove(service, proxies)
                continue
            put = await self._store.put_route(left)
            last = put.version
            if self._desired.put_route(put):
                self._discovery.route_changed(service)
            await self._loop.reconcile([service])
        return last

    def parts(self, service: str) -> list[str]:
        """The services whose routes are destinations of this one."""
        return [name for name, stored in self._desired.routes.items() if stored.route.part_of == service]

    async def remove(self, service: str, proxies: float | None = None) -> Removal:
        """Take a route away; answers when no live proxy serves it any more, or names those that lag.

        :param proxies: as of :meth:`put`.
        :raises ProxyError: HAProxy could not be reloaded. RegistryError: the registry does not answer (503).
        """
        desired = service in self._desired.services
        removed = await self._store.remove_route(service)
        version, index = removed or (self._desired.version(service), 0)
        await self._hold_store.change(service, lambda _hold: None)
        hold = self._desired.holds.get(service)
        if hold:
            self._desired.end_hold(service, hold.version)
            self._discovery.hold_changed(service, hold)
        if self._desired.remove_route(service, version):
            self._discovery.route_changed(service)
        await self._loop.reconcile([service])
        holds = (await self._hold_store.holds())[1] if hold else 0
        goal = Goal(routes=index, holds=holds)
        return Removal(desired or removed is not None, await self._wait_peers(goal, proxies))

    def removal(self, service: str) -> str:
        """How the configuration would change without a route. :raises NotRoutedError: there is none (404)."""
        self._existing(service)
        return self._preview.remove(service)

    async def reload(self) -> None:
        """Render and reload although nothing changed (Docker Flow: Proxy's ``reload``).

        :raises ProxyError: HAProxy could not be reloaded.
        """
        self._loop.force()
        await self._loop.reconcile()

    def route(self, service: str) -> RouteState | None:
        """A route and what is behind it; None when there is none."""
        return self._state(service) if self._desired.routes_of(service) else None

    def state(self) -> ProxyState:
        """The whole daemon."""
        dead = "; ".join(f"{name} died: {reason}" for name, reason in self._tasks.down.items())
        problems = (
            dead and f"a part of the daemon does not run, and is started again: {dead}",
            self._bug,
            self._loop.problem,
            self._applier.problem,
            self._discovery.problem,
            self._persistence.problem,
            self._discovery.reachability.reason,
        )
        return ProxyState(
            version=self._applier.version,
            serving=self._haproxy.serving and not self._loop.problem,
            routes=tuple(map(self._state, self._desired.services)),
            registry_lost_since=self._discovery.reachability.lost_since,
            problem=next(filter(None, problems), ""),
            complete=not dead,
        )

    def config(self) -> str:
        """The text of the haproxy.cfg that runs, from its file, which may be a moment behind."""
        return self._haproxy.files.read()

    def text(self) -> str:
        """The same as it should be in the file now."""
        return self._applier.text()

    def report_bug(self, error: BaseException) -> None:
        """A task of the daemon ended by an error that nobody expected: the state shows it from now on."""
        self._bug = f"a part of the daemon ended by a bug: {error!r}"

    async def _wait_ready(
        self,
        route: Route,
        reading: Reading,
        running: Backend | None,
        allow_empty: bool,
        wait: float | None,
    ) -> Readiness:
        """Return when a request to the route would be answered."""
        serving = running.addresses(ServerState.SERVING) if running else frozenset()
        # A route that may be empty waits for nobody; but users who are served now keep what serves them meanwhile.
        if allow_empty and not serving:
            return Readiness(reading, (), ())
        seconds = self._timing.ready_wait if wait is None or allow_empty else wait
        readiness = await self._discovery.wait_ready(route, reading, serving, seconds)
        if not allow_empty:
            drained_ids = self._desired.drained_ids(route.service)
            admission.refuse_empty(route, readiness.reading.instances, drained_ids, self._desired.hosts.resolve)
            admission.refuse_unready(route, bool(readiness.ready), readiness.waiting)
        return readiness

    async def _wait_peers(self, goal: Goal, seconds: float | None) -> Mapping[str, Progress]:
        return await self._peers.wait(goal, self._timing.proxies_wait if seconds is None else seconds)

    def _existing(self, service: str) -> None:
        if not self._desired.routes_of(service):
            raise NotRoutedError(f"there is no route of {service}", "GET /v1/routes lists them")

    def _state(self, service: str, *, applied: str = NONE, timings: Mapping[str, float] | None = None) -> RouteState:
        if not self._desired.routes_of(service):
            raise ConflictError(
                f"the route of {service} was removed while it was changed", "call again if it shall be there"
            )
        state = self._desired.state(service, self._applier.running.get(service))
        refused = self._loop.refused.get(service, "")
        return dataclasses.replace(state, refused=refused, applied=applied, timings=timings or {})
