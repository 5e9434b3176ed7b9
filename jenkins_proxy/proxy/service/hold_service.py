"""The service behind the API's holds: what a deploy asks for, stored for all proxies and served when it is answered.

begin    instances that come from now on are candidates
promote  users meet the candidates; those of before drain
demote   the other way round, while those of before still run
end      the route of a promoted hold becomes the service's; the hold goes
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy.discovery.discovery import Discovery
from jenkins_proxy.proxy.haproxy.applier import Applier
from jenkins_proxy.proxy.haproxy.backend import Backend
from jenkins_proxy.proxy.haproxy.config import route_defaults
from jenkins_proxy.proxy.haproxy.config.route_defaults import RouteDefaults
from jenkins_proxy.proxy.haproxy.diff import means
from jenkins_proxy.proxy.hold_store import HoldStore
from jenkins_proxy.proxy.holds import Hold, Holder, proven
from jenkins_proxy.proxy.models import NONE, ConflictError, NotRoutedError, Progress
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.held_backend import restored_backend
from jenkins_proxy.proxy.reconcile.instances import live
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.reconcile.peers import Peers
from jenkins_proxy.proxy.route_store import RouteStore
from jenkins_proxy.proxy.service import admission
from jenkins_proxy.proxy.timing import DEFAULT, Timing


@dataclass(frozen=True)
class HoldRequest:
    """What a deploy asks for.

    :ivar timeout: seconds after which anybody may replace the hold.
    :ivar replace: the ID of a hold that this one may take the place of.
    :ivar before: the addresses that are proven, where the caller knows better than that those that serve are.
    """

    route: Route
    key_sha256: str
    holder: Holder
    timeout: float
    replace: str = ""
    before: tuple[Address, ...] | None = None


@dataclass(frozen=True)
class HoldState:
    """The answer to a call.

    :ivar hold: as it is now; None once it has ended.
    :ivar proxies: how far each live proxy is, by its name.
    :ivar applied: what the call did to HAProxy: ``reload``, ``runtime`` or ``none``.
    :ivar seconds: that this proxy took to apply it.
    """

    hold: Hold | None
    proxies: Mapping[str, Progress] = field(default_factory=dict)
    applied: str = NONE
    seconds: float = 0.0


class HoldService:
    """Begins, promotes, demotes and ends holds.

    Each call answers when this proxy serves the change and every live one does, or names those that lag.
    """

    def __init__(
        self,
        desired: DesiredState,
        loop: ReconcileLoop,
        *,
        routes: RouteStore,
        store: HoldStore,
        discovery: Discovery,
        applier: Applier,
        peers: Peers,
        route_defaults: RouteDefaults = route_defaults.NONE,
        timing: Timing = DEFAULT,
    ) -> None:
        self._desired = desired
        self._loop = loop
        self._routes = routes
        self._store = store
        self._discovery = discovery
        self._applier = applier
        self._peers = peers
        self._route_defaults = route_defaults
        self._wait = timing.proxies_wait

    async def begin(self, request: HoldRequest, proxies: float | None = None) -> HoldState:
        """Keep from users what joins a service from now on.

        :param proxies: seconds to wait for the other proxies; None: ``timing.proxies_wait``.

        The same call again answers with the same hold, which the key identifies.

        :raises ConflictError: somebody else holds the service, or another service has one of the paths (409).
        :raises UsageError: HAProxy refuses the route (400).
        :raises ProxyError: HAProxy could not be reloaded. RegistryError: the registry does not answer (503).
        """
        route, service = request.route, request.route.service
        admission.refuse_conflict(route, self._desired.all_routes, self._route_defaults)
        admission.refuse_shared_key(service, request.key_sha256, self._desired.holds.all)
        current = await self._store.change(service, lambda stored: stored)
        admission.refuse_held(current, request.key_sha256, request.replace, time.time())
        if current and current.promoted and current.key_sha256 != request.key_sha256:
            await self._adopt_route(current)
        instances = await self._read_instances(service, route)
        hold = self._new(request, current, instances)
        stored_route = self._desired.routes.get(service)
        await self._applier.check(restored_backend(stored_route.route if stored_route else None, hold, {}))
        running = self._applier.running.get(service)
        await self._store.put_store_id()

        def change(stored: Hold | None) -> Hold | None:
            if stored and stored.key_sha256 == request.key_sha256:
                return stored
            admission.refuse_held(stored, request.key_sha256, request.replace, time.time())
            return hold

        held = await self._store.change(service, change)
        return await self._serve(service, held, proxies, running=running)

    async def promote(
        self, service: str, hold_id: str, addresses: Sequence[Address], keep: Sequence[Address], timeout: float
    ) -> HoldState:
        """Let users meet these instances, and no longer those of before.

        :param addresses: candidates that were verified.
        :param keep: instances of before that go on serving.
        :param timeout: seconds to wait for the other proxies.
        :raises ConflictError: this hold is not in force, or one of the addresses is no live instance (409).
        :raises NotRoutedError: nobody holds the service (404).
        """
        running = self._applier.running.get(service)
        if not self._alive(service).issuperset((*addresses, *keep)):
            await self._catch_up(service)
        alive = self._alive(service)

        def change(stored: Hold | None) -> Hold:
            hold = _own(stored, service, hold_id)
            admission.refuse_absent(service, (*addresses, *keep), alive)
            return hold.promote((*addresses, *keep))

        held = await self._store.change(service, change)
        return await self._serve(service, held, timeout, running=running)

    async def demote(self, service: str, hold_id: str, proxies: float | None = None) -> HoldState:
        """Let users meet what served before the hold began, and nobody else. Raises as :meth:`promote`.

        :param proxies: as of :meth:`begin`.
        """
        running = self._applier.running.get(service)
        held = await self._store.change(service, lambda stored: _own(stored, service, hold_id).demote())
        return await self._serve(service, held, proxies, running=running)

    async def end(self, service: str, hold_id: str = "", proxies: float | None = None) -> HoldState:
        """End a hold; that there is none, or another one than is named, is no error.

        :param hold_id: empty for any.
        :param proxies: as of :meth:`begin`.
        """
        current = await self._store.change(service, lambda stored: stored)
        if current is None or hold_id not in ("", current.id):
            if current is None and (known := self._desired.holds.get(service)):
                self._desired.end_hold(service, known.version)
                self._discovery.hold_changed(service, known)
                await self._loop.reconcile([service])
            return HoldState(current)
        running = self._applier.running.get(service)
        if current.promoted:
            await self._adopt_route(current)
        ended = current.id
        left = await self._store.change(service, lambda stored: None if stored and stored.id == ended else stored)
        state = await self._serve(service, left, proxies, running=running)
        outlived = self._desired.outlived_drains(service)
        if outlived:  # of the color of before, whose instances nobody follows any more
            self._desired.put_drains(service, *await self._routes.change_drains(service, remove=outlived))
        return state

    def _alive(self, service: str) -> set[Address]:
        return {instance.address for instance in live(self._desired.instances_of(service) or ())}

    async def _catch_up(self, service: str) -> None:
        """Ask for what a watch may be behind with: of a daemon that has just started none may have answered yet."""
        current = await self._store.change(service, lambda stored: stored)
        if current:
            self._desired.put_hold(current)
            await self._read_instances(service, current.route)

    async def _adopt_route(self, hold: Hold) -> None:
        """The route of a promoted hold is the service's."""
        if self._desired.put_route(await self._routes.put_route(hold.route)):
            self._discovery.route_changed(hold.service)

    async def _read_instances(self, service: str, route: Route) -> list[Instance]:
        """What stands behind the service's routes, asked for now.

        :return: the instances of the route that users have.
        """
        users = self._desired.users_route(service)
        instances: list[Instance] = []
        for own in {route.registry_name: route, **({users.registry_name: users} if users else {})}.values():
            reading = await self._discovery.read_instances(own)
            if not own.outbound_hostname:
                self._discovery.instances.take(own.registry_name, reading)
            if users and own.registry_name == users.registry_name:
                instances += reading.instances
        return instances

    def _new(self, request: HoldRequest, current: Hold | None, instances: Sequence[Instance]) -> Hold:
        if request.before is None:
            not_ready = {
                address
                for name in self._desired.names_of(request.route.service)
                for address in self._desired.instances.not_ready(name)
            }
            before = proven([own.address for own in instances if own.address not in not_ready], current)
        else:
            before = request.before
        now = time.time()
        return Hold(
            secrets.token_hex(4),
            request.key_sha256,
            request.route,
            request.holder,
            since=now,
            until=now + request.timeout,
            before=before,
            serving=before,
        )

    async def _serve(
        self,
        service: str,
        hold: Hold | None,
        proxies: float | None,
        *,
        running: Backend | None,
    ) -> HoldState:
        """Bring HAProxy to a hold that was just stored, and wait for the other proxies.

        :param running: before it was stored, as the watch of the store may be faster than its answer.
        """
        begin = time.monotonic()
        before = self._desired.holds.get(service)
        if hold:
            self._desired.put_hold(hold)
        elif before:
            self._desired.end_hold(service, before.version)
        if hold != before:
            self._discovery.hold_changed(service, before)
        await self._loop.reconcile([service])
        if service in self._loop.refused:
            raise ProxyError(f"HAProxy refuses the route of {service}: {self._loop.refused[service]}")
        seconds = time.monotonic() - begin
        applied = means(running, self._applier.running.get(service))
        # Before users are let in, nobody of them is to be served.
        served = service if hold is None or hold.promoted else ""
        return HoldState(
            hold, await self._peers.wait_holds(served, self._wait if proxies is None else proxies), applied, seconds
        )


def _own(stored: Hold | None, service: str, hold_id: str) -> Hold:
    """The hold that is stored, if it is the one that the caller means."""
    if stored is None:
        raise NotRoutedError(f"nobody holds {service}", "a deploy puts a hold; GET /v1/routes shows it")
    if stored.id != hold_id:
        raise ConflictError(f"hold {hold_id} of {service} is over: {stored.conflict()}", admission.end_hint(service))
    return stored
