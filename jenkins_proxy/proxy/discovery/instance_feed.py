"""Takes the instances that the registry reports into the desired state, and enqueues the routes that they change."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Collection, Sequence

from jenkins_proxy.aio import TaskGroup
from jenkins_proxy.errors import RegistryError
from jenkins_proxy.model import Address, Instance
from jenkins_proxy.proxy.discovery.blocking_query import Reachability
from jenkins_proxy.proxy.discovery.readiness import ReadinessGate
from jenkins_proxy.proxy.discovery.resolver import Resolver
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.instances import Reading, drained
from jenkins_proxy.proxy.reconcile.loop import ReconcileLoop
from jenkins_proxy.proxy.route_store import RouteStore
from jenkins_proxy.proxy.timing import DEFAULT, Timing


class InstanceFeed:
    """What becomes of each report of a service's instances.

    A registry that was started again is empty until the agents have registered everything once more: for a while after
    that "no instances" is not believed, nor "candidates alone", nor "all are others" until one of these has answered,
    and what served before goes on.
    """

    def __init__(
        self,
        desired: DesiredState,
        loop: ReconcileLoop,
        *,
        store: RouteStore,
        reachability: Reachability,
        readiness: ReadinessGate,
        resolver: Resolver,
        tasks: TaskGroup,
        timing: Timing = DEFAULT,
    ) -> None:
        self._desired = desired
        self._loop = loop
        self._store = store
        self._reachability = reachability
        self._readiness = readiness
        self._resolver = resolver
        self._tasks = tasks
        self._empty_grace = timing.empty_grace
        self._poll = timing.doubt_poll
        self._began = time.monotonic()
        self._doubted: dict[str, Reading] = {}

    @property
    def doubted(self) -> Collection[str]:
        """The services of the registry whose reports are not believed yet."""
        return self._doubted

    def on_report(self, registry_name: str, reading: Reading, notified_at: float) -> None:
        """The registry reports the instances of a service.

        :param notified_at: the monotonic time at which it did.
        """
        instances = reading.instances
        if self._grace_left() <= 0 or self._believable(registry_name, instances):
            self._take(registry_name, reading, notified_at)
            return
        if registry_name not in self._doubted:
            self._tasks.keep(f"the doubt of {registry_name}", functools.partial(self._take_later, registry_name))
        if instances:
            # Whoever is new is known at once, beside those that are missed: HAProxy's own check says if they are gone.
            new = {instance.address for instance in instances}
            missed = (own for own in self._desired.instances.known(registry_name) if own.address not in new)
            self._take(registry_name, Reading((*instances, *missed), reading.index), notified_at)
        self._doubted[registry_name] = reading

    def take(self, registry_name: str, reading: Reading) -> None:
        """Believe these to be the instances of a service: they were asked for, apart from the reports.

        What was reported meanwhile may be newer. It is not reported again, so it stays.
        """
        if not self._desired.instances.knows_newer(registry_name, reading.index):
            self._take(registry_name, reading)

    def _take(self, registry_name: str, reading: Reading, notified_at: float = 0.0) -> None:
        self._doubted.pop(registry_name, None)
        before, instances = self._desired.instances.known(registry_name), reading.instances
        if not self._desired.instances.take(registry_name, instances, reading.index):
            return
        self._readiness.check(registry_name, before, instances, notified_at)
        services = self._desired.services_of(registry_name)
        self._loop.enqueue(services, notified_at)
        for service in services:
            outlived = self._desired.outlived_drains(service)
            if outlived:
                self._tasks.start(self._forget_drains(service, outlived))
        if self._desired.hosts.unknown(instance.address for instance in instances):
            self._tasks.start(self._resolver.lookup(instance.address for instance in instances))

    def _grace_left(self) -> float:
        """Seconds for which "no instances" is not believed."""
        return max(self._began, self._reachability.back_at) + self._empty_grace - time.monotonic()

    def _believable(self, registry_name: str, instances: Sequence[Instance]) -> bool:
        """Whether a report leaves an instance that users may meet, where there was one."""
        not_ready = self._desired.instances.not_ready(registry_name)
        known = [own for own in self._desired.instances.known(registry_name) if own.address not in not_ready]
        now = {instance.address for instance in instances}
        for service in self._desired.services_of(registry_name):
            hold, drained_ids = self._desired.holds.get(service), self._desired.drained_ids(service)
            before = {instance.address for instance in known if not drained(instance, drained_ids)}
            serving = before.intersection(hold.serving) if hold else before
            if serving and not serving & now:
                return False
        return bool(instances)

    async def _take_later(self, registry_name: str) -> None:
        while (reading := self._doubted.get(registry_name)) and self._grace_left() > 0:
            if self._believable(registry_name, reading.instances):
                break
            await asyncio.sleep(min(self._grace_left(), self._poll))
        if reading:
            self._take(registry_name, reading)

    async def _forget_drains(self, service: str, addresses: Collection[Address]) -> None:
        with contextlib.suppress(RegistryError):
            self._desired.put_drains(service, *await self._store.change_drains(service, remove=addresses))
