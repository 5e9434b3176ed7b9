"""What the registry and the name servers report, fed into the desired state: the parts that do it, put together.

    ServiceWatcher  ->  InstanceFeed  ->  ReadinessGate, Resolver    instances, and whether and where they listen
    RouteWatcher, HoldWatcher                                       routes and drains, holds

Each of them writes to the desired state and enqueues the services that it changed.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Collection

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.clients.consul.async_client import AsyncConsul
from jenkins_proxy.model import Address, Route
from jenkins_proxy.proxy.discovery.blocking_query import Reachability
from jenkins_proxy.proxy.discovery.hold_watcher import HoldWatcher
from jenkins_proxy.proxy.discovery.instance_feed import InstanceFeed
from jenkins_proxy.proxy.discovery.readiness import ReadinessGate, identity
from jenkins_proxy.proxy.discovery.resolver import Resolver
from jenkins_proxy.proxy.discovery.route_readiness import Readiness, RouteReadiness
from jenkins_proxy.proxy.discovery.route_watcher import RouteWatcher
from jenkins_proxy.proxy.discovery.service_watcher import ServiceWatcher
from jenkins_proxy.proxy.events import EventBus
from jenkins_proxy.proxy.hold_store import HoldStore
from jenkins_proxy.proxy.holds import Hold
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.instances import Reading, outside
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.reconcile.persistence import Persistence
from jenkins_proxy.proxy.route_store import RouteStore
from jenkins_proxy.proxy.timing import DEFAULT, Timing

# Instances that are asked at once because a caller waits for them.
_ASKED_BY_CALLERS = 64


class Discovery:
    """The room's front: what the service asks of it.

    :ivar reachability: whether the registry answers.
    :ivar instances: takes reports of instances.
    """

    def __init__(
        self,
        registry: AsyncConsul,
        desired: DesiredState,
        loop: ReconcileLoop,
        *,
        store: RouteStore,
        hold_store: HoldStore,
        persistence: Persistence,
        events: EventBus,
        tasks: TaskGroup,
        timing: Timing = DEFAULT,
    ) -> None:
        self._registry = registry
        self._desired = desired
        self._tasks = tasks
        self.reachability = Reachability(events, timing)
        loop.caught_up = self.reachability.caught_up
        self._resolver = Resolver(desired, loop, timing)
        self._readiness = ReadinessGate(desired, loop, events=events, tasks=tasks, timing=timing)
        self._slots = asyncio.Semaphore(_ASKED_BY_CALLERS)
        self._timing = timing
        self.instances = InstanceFeed(
            desired,
            loop,
            store=store,
            reachability=self.reachability,
            readiness=self._readiness,
            resolver=self._resolver,
            tasks=tasks,
            timing=timing,
        )
        self._routes = RouteWatcher(
            desired,
            loop,
            store=store,
            reachability=self.reachability,
            services=ServiceWatcher(
                registry,
                self.reachability,
                self.instances.on_report,
                tasks=tasks,
                timing=timing,
            ),
            persistence=persistence,
            events=events,
            tasks=tasks,
            timing=timing,
        )
        self._holds = HoldWatcher(
            desired,
            loop,
            store=hold_store,
            routes=self._routes,
            readiness=self._readiness,
            reachability=self.reachability,
            events=events,
            tasks=tasks,
            timing=timing,
        )

    @property
    def problem(self) -> str:
        """What is wrong with an entry of the store; empty when nothing is."""
        return self._routes.problem

    def start(self) -> None:
        """Follow the registry, until the tasks are ended."""
        self._routes.start()
        self._holds.start()
        self._tasks.keep("Resolver", self._resolver.run)
        self._tasks.keep("ReadinessGate", self._readiness.run)

    def refresh(self) -> None:
        """Compare everything that is desired with what serves: a part that died may have taken what it did not tell."""
        self._routes.services_changed(self._desired.services)

    def route_changed(self, service: str) -> None:
        """A route was put or removed here, before the store reports it."""
        self._routes.routes_changed([service])

    def hold_changed(self, service: str, before: Hold | None) -> None:
        """A hold was put, changed or ended here, before the store reports it.

        :param before: the hold as it was.
        """
        self._holds.holds_changed({service: before} if before else {}, [service])

    async def read_instances(self, route: Route) -> Reading:
        """What stands behind a route, asked for now, as a watch may be a moment behind; with its names looked up.

        :raises RegistryError: the registry does not answer.
        """
        external = outside(route)
        if external:
            reading = Reading((external,))
        else:
            instances, index = await self._registry.instances(route.registry_name)
            reading = Reading(tuple(instances), index)
        await self._resolver.lookup(instance.address for instance in reading.instances)
        return reading

    def take_instances(self, route: Route, readiness: Readiness) -> None:
        """Believe these to stand behind a route, and those to be ready that are."""
        if not route.outbound_hostname:
            self.instances.take(route.registry_name, readiness.reading)
            self._readiness.mark_ready(route.registry_name, readiness.ready)

    async def wait_ready(
        self, route: Route, reading: Reading, serving: Collection[Address], seconds: float
    ) -> Readiness:
        """Return when the live instances of a route have answered its check, or have had the time to.

        :param reading: those that are registered.
        :param serving: the numeric addresses that serve now.
        :param seconds: to wait for the first one of them; at least one request is made.
        :raises RegistryError: the registry does not answer.
        """
        if route.outbound_hostname:
            return Readiness(reading, {identity(instance) for instance in reading.instances}, ())
        waiter = RouteReadiness(
            route,
            self._readiness,
            self._desired.hosts.resolve,
            self._desired.drained_ids(route.service),
            serving=serving,
            slots=self._slots,
            timing=self._timing,
        )
        return await waiter.wait(reading, functools.partial(self.read_instances, route), seconds)
