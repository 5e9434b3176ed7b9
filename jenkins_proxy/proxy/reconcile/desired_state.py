"""What should serve: all that is known of routes, instances, host names and drains. No task, no socket, no file."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from jenkins_proxy import validation
from jenkins_proxy.model import CRITICAL, Address, Instance, Route
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState, addresses
from jenkins_proxy.proxy.models import InstanceState, RouteState, ServedInstance
from jenkins_proxy.proxy.reconcile.host_table import HostTable
from jenkins_proxy.proxy.route_store import Drains, StoredRoute, StoredRoutes

Resolve = Callable[[Address], Sequence[Address]]


class DesiredState:
    """What the registry reported last, and what was served when it has reported nothing yet.

    :param restored: the addresses that served before this start, by service.
    :ivar hosts: the numeric addresses behind host names.
    :ivar store_id: identifies the store that the routes are from.
    :ivar index: of the store when its routes were read last.
    """

    def __init__(self, stored: StoredRoutes, drains: Drains, restored: Mapping[str, frozenset[Address]]) -> None:
        self._restored = restored
        self.hosts = HostTable()
        self.routes: dict[str, StoredRoute] = dict(stored.routes)
        self.drains: Drains = drains
        self.store_id = stored.store_id
        self.index = 0
        self._removed: dict[str, int] = {}
        self._instances: dict[str, tuple[Instance, ...]] = {}
        self._reported: set[str] = set()
        self._not_ready: dict[str, Mapping[Address, float]] = {}
        self._behind: dict[str, list[str]] = {}
        self._sort()

    @property
    def registry_names(self) -> set[str]:
        """The services of the registry whose instances are needed."""
        return {stored.route.registry_name for stored in self.routes.values() if not stored.route.outbound_hostname}

    def services_of(self, registry_name: str) -> Collection[str]:
        """The routes that a service of the registry stands behind."""
        return self._behind.get(registry_name, ())

    def put_route(self, stored: StoredRoute) -> bool:
        """Take a route that was just stored. :return: whether it differs from what was known."""
        before = self.routes.get(stored.route.service)
        self.routes[stored.route.service] = stored
        self._sort()
        return _route(before) != stored.route

    def remove_route(self, service: str) -> bool:
        """Forget a route that was just removed. :return: whether it was known."""
        gone = self.routes.pop(service, None)
        if gone:
            self._removed[service] = gone.version
            self._sort()
        return gone is not None

    def take_routes(self, snapshot: StoredRoutes) -> tuple[set[str], list[StoredRoute]]:
        """Take what the store reports.

        A snapshot may be older than what was put or removed here a moment ago. And a registry that lost its data has
        less than this proxy: what it lacks is returned, to be written to it again. Its index does not show that, as
        other keys may have taken it beyond the known versions meanwhile; its ID does.

        :return: the services whose routes changed, and the routes that the store is missing.
        """
        lost = bool(self.store_id) and snapshot.store_id != self.store_id
        if lost:
            # Versions count from the beginning again: those of before mean nothing.
            self._removed.clear()
        self.store_id = snapshot.store_id or self.store_id
        self.index = snapshot.index
        merged = {}
        for name, reported in snapshot.routes.items():
            own = self.routes.get(name)
            if reported.version > self._removed.get(name, 0):
                merged[name] = own if own and own.version > reported.version and not lost else reported
        missing = [
            stored
            for name, stored in self.routes.items()
            if name not in merged and (lost or stored.version > snapshot.index)
        ]
        merged.update((stored.route.service, stored) for stored in missing)
        changed = {
            name
            for name in merged.keys() | self.routes.keys()
            if _route(merged.get(name)) != _route(self.routes.get(name))
        }
        self.routes = merged
        self._sort()
        return changed, missing

    def known_instances(self, registry_name: str) -> tuple[Instance, ...]:
        """The instances of a service of the registry; none where it has not reported."""
        return self._instances.get(registry_name, ())

    def take_instances(self, registry_name: str, instances: Sequence[Instance]) -> bool:
        """Take the instances of a service. :return: whether they differ from what was known."""
        reported = tuple(instances)
        if self._instances.get(registry_name) == reported:
            return False
        self._instances[registry_name] = reported
        return True

    def take_restored(self, registry_name: str) -> frozenset[Address]:
        """The numeric addresses that served before this start, for the first report of a service; after it none."""
        if registry_name in self._reported:
            return frozenset()
        self._reported.add(registry_name)
        return frozenset().union(*(self._restored.get(name, ()) for name in self.services_of(registry_name)))

    def set_not_ready(self, registry_name: str, since: Mapping[Address, float]) -> None:
        """Say which instances of a service of the registry have not answered yet: they shall not serve.

        :param since: the monotonic time since which each has not.
        """
        if since:
            self._not_ready[registry_name] = since
        else:
            self._not_ready.pop(registry_name, None)

    def not_ready(self, registry_name: str) -> Mapping[Address, float]:
        """The instances of a service of the registry that have not answered yet, and since when."""
        return self._not_ready.get(registry_name, {})

    def forget_instances(self) -> None:
        """Forget what no route needs: when one needs it again, it would be old."""
        needed = self.registry_names
        self._instances = {name: own for name, own in self._instances.items() if name in needed}

    def take_drains(self, drains: Drains) -> set[str]:
        """Take all drains. :return: the services whose drains changed."""
        changed = {
            name for name in drains.keys() | self.drains.keys() if drains.get(name, {}) != self.drains.get(name, {})
        }
        self.drains = drains
        return changed

    def put_drains(self, service: str, drained_ids: Mapping[Address, str]) -> None:
        self.drains = {**self.drains, service: drained_ids}

    def outlived_drains(self, service: str) -> set[Address]:
        """Drains of instances that are no longer in the registry: the address may be another container's next."""
        instances = self.instances(self.routes[service].route) if service in self.routes else None
        if instances is None:
            return set()
        drained_ids = self.drained_ids(service)
        return set(drained_ids) - {instance.address for instance in instances if drained(instance, drained_ids)}

    def drained_ids(self, service: str) -> Mapping[Address, str]:
        """The IDs of a service's drained instances, by address."""
        return self.drains.get(service, {})

    def instances(self, route: Route) -> tuple[Instance, ...] | None:
        """What stands behind a route; None while the registry has not reported."""
        external = outside(route)
        return (external,) if external else self._instances.get(route.registry_name)

    def backends(self, services: Iterable[str], running: Mapping[str, Backend]) -> dict[str, Backend]:
        """What should serve, for those of the services that have a route."""
        return {name: self.backend(self.routes[name].route, running) for name in services if name in self.routes}

    def backend(self, route: Route, running: Mapping[str, Backend]) -> Backend:
        """What should serve for a route."""
        service = route.service
        restored: Collection[Address] = self._restored.get(service, frozenset())
        before = addresses(running[service], ServerState.SERVING) if service in running else restored
        instances = self.instances(route)
        if instances is None:
            return Backend.serving(route, before)
        return backend(
            route,
            instances,
            self.drained_ids(service),
            self.hosts.resolve,
            before=before,
            not_ready=self.not_ready(route.registry_name),
        )

    def version(self, service: str) -> int:
        """Of the service's route; 0 when it has none."""
        return self.routes[service].version if service in self.routes else 0

    def state(self, service: str, running: Backend | None) -> RouteState:
        """A route and what is behind it."""
        route = self.routes[service].route
        return RouteState(route, self.version(service), self.served(service, self.instances(route) or (), running))

    def served(
        self, service: str, instances: Iterable[Instance], running: Backend | None
    ) -> tuple[ServedInstance, ...]:
        """Instances as HAProxy treats them."""
        now = time.monotonic()
        return tuple(self._served(service, instance, running, now) for instance in instances)

    def _served(self, service: str, instance: Instance, running: Backend | None, now: float) -> ServedInstance:
        behind = set(self.hosts.resolve(instance.address))
        serving = bool(behind & addresses(running, ServerState.SERVING))
        draining = bool(behind & addresses(running, ServerState.DRAINING))
        draining = draining or drained(instance, self.drained_ids(service))
        state = InstanceState.SERVING if serving else InstanceState.DRAINING if draining else InstanceState.WAITING
        since = None if serving else self.not_ready(instance.service).get(instance.address)
        waiting_seconds = 0.0 if since is None or instance.status == CRITICAL else now - since
        return ServedInstance(instance, serving, draining, state, waiting_seconds)

    def _sort(self) -> None:
        """Sort the routes by what stands behind them: it is asked for at each change of instances."""
        self._behind = {}
        for name, stored in self.routes.items():
            self._behind.setdefault(stored.route.registry_name, []).append(name)


def _route(stored: StoredRoute | None) -> Route | None:
    return stored.route if stored else None


def live(instances: Iterable[Instance]) -> list[Instance]:
    """Those that may serve: ``warning`` still does, ``critical`` does not."""
    return [instance for instance in instances if instance.status != CRITICAL]


def outside(route: Route) -> Instance | None:
    """The instance that ``outbound_hostname`` stands for, if it is set."""
    if not route.outbound_hostname:
        return None
    address = validation.parse_address(route.outbound_hostname, "outbound_hostname")
    return Instance(route.service, "outbound", address)


def drained(instance: Instance, drained_ids: Mapping[Address, str]) -> bool:
    """Whether it is to get no new requests. A drain is of one ID: another container may get the address next."""
    return drained_ids.get(instance.address) == instance.id


def backend(
    route: Route,
    instances: Sequence[Instance],
    drained_ids: Mapping[Address, str],
    resolve: Resolve,
    *,
    before: Collection[Address] = (),
    not_ready: Collection[Address] = (),
) -> Backend:
    """The backend of a route.

    When every instance is critical, those that serve keep serving: an agent that died turns all its services critical
    at once while they run, and of those that do not run HAProxy's own check takes each out. A service that shall not
    serve has its route removed or its instances drained. The same holds while the others are not ready yet.

    :param instances: all of them, or the one that the route names itself.
    :param resolve: the numeric addresses behind one; none while its name is unknown.
    :param before: the addresses that serve now.
    :param not_ready: the addresses that shall not serve, as they have not answered yet.
    """
    chosen = [instance for instance in instances if not drained(instance, drained_ids)]
    fit = live(chosen)
    ready = [instance for instance in fit if instance.address not in not_ready]
    if ready or (live(instances) and not fit):
        return Backend.serving(route, {address for instance in ready for address in resolve(instance.address)})
    critical = [instance for instance in chosen if instance.address not in not_ready]
    numeric = {address for instance in critical for address in resolve(instance.address)}
    return Backend.serving(route, numeric.intersection(before))
