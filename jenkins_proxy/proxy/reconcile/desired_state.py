"""What should serve: all that is known of routes, instances, host names and drains. No task, no socket, no file."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping

from jenkins_proxy.model import Address, Instance, Route
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState, addresses
from jenkins_proxy.proxy.holds import Hold, Holds
from jenkins_proxy.proxy.models import RouteState, ServedInstance
from jenkins_proxy.proxy.reconcile.held_backend import held_backend, restored_backend, users_route
from jenkins_proxy.proxy.reconcile.hold_table import HoldTable
from jenkins_proxy.proxy.reconcile.host_table import HostTable
from jenkins_proxy.proxy.reconcile.instance_table import InstanceTable
from jenkins_proxy.proxy.reconcile.instances import as_served, drained, fit, live, outside, ready_servers
from jenkins_proxy.proxy.reconcile.route_merge import is_removed, merge
from jenkins_proxy.proxy.route_store import Drains, StoredRoute, StoredRoutes


class DesiredState:
    """What the registry reported last, and what was served when it has reported nothing yet.

    :param restored: the servers of before this start in their states, by service.
    :param holds: that were known before this start.
    :ivar holds: what deploys keep from users.
    :ivar hosts: the numeric addresses behind host names.
    :ivar instances: what the registry reports of its services.
    :ivar store_id: identifies the store that the routes are from.
    :ivar index: of the store when its routes were read last; ``drains_index`` its drains.
    :ivar removed: when routes were removed, for a day, in milliseconds since 1970.
    :ivar returned: the versions of routes in the store that were removed before, and that somebody brought back who
        did not know.
    """

    def __init__(
        self,
        stored: StoredRoutes,
        drains: Drains,
        restored: Mapping[str, Mapping[Address, ServerState]],
        holds: Holds | None = None,
    ) -> None:
        self._restored = restored
        self.holds = HoldTable(holds or Holds())
        self.hosts = HostTable()
        self.routes: dict[str, StoredRoute] = dict(stored.routes)
        self.drains: Drains = drains
        self.store_id = stored.store_id
        self.index = 0
        self.drains_index = 0
        self._drains_read = 0
        self._drains_written: dict[str, int] = {}
        self.removed: dict[str, int] = dict(stored.removed)
        self.returned: dict[str, int] = {}
        self._removed: dict[str, int] = {}
        self.instances = InstanceTable()
        self._reported: set[str] = set()
        self._behind: dict[str, list[str]] = {}
        self._sort()

    @property
    def services(self) -> list[str]:
        """Those with a route, or with a hold that will give them one."""
        return [*self.routes, *(name for name in self.holds.all if name not in self.routes)]

    @property
    def all_routes(self) -> list[Route]:
        """Every route, also those that deploys are about to put."""
        return [route for service in self.services for route in self.routes_of(service)]

    @property
    def registry_names(self) -> set[str]:
        """The services of the registry whose instances are needed."""
        return {name for service in self.services for name in self.names_of(service)}

    def names_of(self, service: str) -> list[str]:
        """The services of the registry that stand behind a route: during a deploy those of both colors."""
        routes = [route for route in self.routes_of(service) if not route.outbound_hostname]
        return list(dict.fromkeys(route.registry_name for route in routes))

    def routes_of(self, service: str) -> list[Route]:
        """The route that is stored, and the one that a deploy is about to put; either may be missing."""
        stored, hold = self.routes.get(service), self.holds.get(service)
        return [*([stored.route] if stored else ()), *([hold.route] if hold else ())]

    def users_route(self, service: str) -> Route | None:
        """The route that users have."""
        return users_route(_route(self.routes.get(service)), self.holds.get(service))

    def services_of(self, registry_name: str) -> Collection[str]:
        """The routes that a service of the registry stands behind."""
        return self._behind.get(registry_name, ())

    def put_route(self, stored: StoredRoute) -> bool:
        """Take a route that was just stored. :return: whether it differs from what was known.

        The store may have reported it already, and what others made of it since. The generation says so, as versions
        count anew in a store that lost its data.
        """
        before = self.routes.get(stored.route.service)
        if before and (before.version == stored.version or before.generation > stored.generation > 0):
            return False
        if is_removed(stored, self.removed):
            return False
        self.routes[stored.route.service] = stored
        self._sort()
        return _route(before) != stored.route

    def remove_route(self, service: str, version: int) -> bool:
        """Forget a route that was just removed. :return: whether it was known.

        :param version: that it had: the store may have reported a later one already, which was put since.
        """
        self._removed[service] = version
        gone = self.routes.get(service)
        if gone is None or gone.version > version:
            return False
        del self.routes[service]
        self._sort()
        return True

    def take_routes(self, snapshot: StoredRoutes) -> tuple[set[str], list[StoredRoute]]:
        """Take what the store reports.

        A snapshot may be older than what was put or removed here a moment ago. And a registry that lost its data has
        less than this proxy: what it lacks is returned, to be written to it again. Its index does not show that, as
        other keys may have taken it beyond the known versions meanwhile; its ID does.

        What others have given back to it may be older than what this proxy knows: the generation says which is newer.

        :return: the services whose routes changed, and the routes that the store is missing.
        """
        lost = bool(self.store_id) and snapshot.store_id != self.store_id
        if lost:
            # Versions count from the beginning again: those of before mean nothing.
            self._removed.clear()
        self.store_id = snapshot.store_id or self.store_id
        self.index = snapshot.index
        known = StoredRoutes(self.routes, removed=self.removed)
        merged = merge(known, snapshot, self._removed, lost=lost)
        changed = {
            name
            for name in merged.routes.keys() | self.routes.keys()
            if _route(merged.routes.get(name)) != _route(self.routes.get(name))
        }
        self.routes, self.removed, self.returned = dict(merged.routes), merged.removed, merged.returned
        self._sort()
        return changed, merged.missing

    def take_holds(self, snapshot: Holds) -> tuple[set[str], list[Hold]]:
        """As :meth:`HoldTable.take`."""
        changed, missing = self.holds.take(snapshot)
        self._sort()
        return changed, missing

    def put_hold(self, hold: Hold) -> None:
        """As :meth:`HoldTable.put`."""
        self.holds.put(hold)
        self._sort()

    def end_hold(self, service: str, version: int) -> None:
        """As :meth:`HoldTable.end`."""
        self.holds.end(service, version)
        self._sort()

    def take_restored(self, registry_name: str) -> frozenset[Address]:
        """The numeric addresses that served before this start, for the first report of a service; after it none."""
        if registry_name in self._reported:
            return frozenset()
        self._reported.add(registry_name)
        return frozenset().union(*(_serving(self._restored.get(name, {})) for name in self.services_of(registry_name)))

    def forget_instances(self) -> None:
        """Forget the instances that no route needs."""
        self.instances.keep(self.registry_names)

    def take_drains(self, drains: Drains, index: int) -> set[str]:
        """Take all drains, as the store reports them; it may be before it has what was written here a moment ago.

        :param index: of the store when they were read.
        :return: the services whose drains changed.
        """
        if index < self._drains_read:
            self._drains_written.clear()  # the store lost its data, and counts anew
        self._drains_read = index
        self._drains_written = {name: own for name, own in self._drains_written.items() if own > index}
        drains = {**drains, **{name: self.drains[name] for name in self._drains_written}}
        changed = {
            name for name in drains.keys() | self.drains.keys() if drains.get(name, {}) != self.drains.get(name, {})
        }
        self.drains = drains
        # Of a folder without keys the index is that of all keys, and moves with what proxies say of themselves.
        self.drains_index = index if drains else self.drains_index
        return changed

    def put_drains(self, service: str, drained_ids: Mapping[Address, str], index: int) -> None:
        """Take the drains of a service that were just stored.

        :param index: of the store from which on they are so: it may have reported later ones already.
        """
        if index > self._drains_read:
            self.drains = {**self.drains, service: drained_ids}
            self._drains_written[service] = index

    def outlived_drains(self, service: str) -> set[Address]:
        """Drains of instances that are no longer in the registry: the address may be another container's next."""
        instances = self.instances_of(service)
        if instances is None:
            return set()
        drained_ids = self.drained_ids(service)
        return set(drained_ids) - {instance.address for instance in instances if drained(instance, drained_ids)}

    def drained_ids(self, service: str) -> Mapping[Address, str]:
        """The IDs of a service's drained instances, by address."""
        return self.drains.get(service, {})

    def instances_of(self, service: str) -> tuple[Instance, ...] | None:
        """What stands behind a service's routes; None while the registry has not reported all of it."""
        known: list[Instance] = []
        for route in self.routes_of(service):
            external = outside(route)
            own = (external,) if external else self.instances.reported(route.registry_name)
            if own is None:
                return None
            known += (instance for instance in own if instance not in known)
        return tuple(known)

    def backends(self, services: Iterable[str], running: Mapping[str, Backend]) -> dict[str, Backend]:
        """What should serve, for those of the services that have a route or a hold."""
        return {name: self._backend(name, running) for name in services if self.routes_of(name)}

    def _backend(self, service: str, running: Mapping[str, Backend]) -> Backend:
        before = running[service].lasting.servers if service in running else self._restored.get(service, {})
        route, hold = _route(self.routes.get(service)), self.holds.get(service)
        instances = self.instances_of(service)
        if instances is None:
            return restored_backend(route, hold, before) if hold else Backend(self.routes[service].route, before)
        not_ready = {address for name in self.names_of(service) for address in self.instances.not_ready(name)}
        able = fit(instances, self.drained_ids(service), self.hosts.resolve, before)
        if hold:
            down = self.holds.down(service)
            return held_backend(route, hold, able, self.hosts.resolve, down=down, not_ready=not_ready)
        servers = ready_servers(
            instances, self.drained_ids(service), self.hosts.resolve, before=_serving(before), not_ready=not_ready
        )
        return Backend.serving(self.routes[service].route, servers)

    def awaits_instances(self, service: str, running: Backend | None) -> bool:
        """Whether users of a service are not served yet, and may be soon: the registry has not reported all that stands
        behind it, what is live there has not answered yet, or HAProxy does not have it yet."""
        if not self.routes_of(service) or addresses(running, ServerState.SERVING):
            return False
        instances, hold = self.instances_of(service), self.holds.get(service)
        if instances is None or hold and hold.promoted:
            return True
        not_ready = {address for name in self.names_of(service) for address in self.instances.not_ready(name)}
        if any(instance.address in not_ready for instance in live(instances)):
            return True
        return bool(addresses(self._backend(service, {service: running} if running else {}), ServerState.SERVING))

    def version(self, service: str) -> int:
        """Of the service's route; 0 when it has none."""
        return self.routes[service].version if service in self.routes else 0

    def state(self, service: str, running: Backend | None) -> RouteState:
        """A route and what is behind it; of a held service without one, the route that it will have."""
        hold = self.holds.get(service)
        route = self.users_route(service) or self.routes_of(service)[0]
        instances = self.served(service, self.instances_of(service) or (), running)
        return RouteState(route, self.version(service), instances, hold=hold)

    def served(
        self, service: str, instances: Iterable[Instance], running: Backend | None
    ) -> tuple[ServedInstance, ...]:
        """Instances as HAProxy treats them."""
        now, drained_ids, hold = time.monotonic(), self.drained_ids(service), self.holds.get(service)
        return tuple(
            as_served(own, self.hosts.resolve(own.address), running, drained_ids, hold, seconds=self._waiting(own, now))
            for own in instances
        )

    def _waiting(self, instance: Instance, now: float) -> float:
        since = self.instances.not_ready(instance.service).get(instance.address)
        # Not 0, which one has that has answered.
        return 0.0 if since is None else max(now - since, 0.001)

    def _sort(self) -> None:
        """Sort the routes by what stands behind them: it is asked for at each change of instances."""
        self._behind = {}
        for service in self.services:
            for name in self.names_of(service):
                self._behind.setdefault(name, []).append(service)


def _route(stored: StoredRoute | None) -> Route | None:
    return stored.route if stored else None


def _serving(states: Mapping[Address, ServerState]) -> set[Address]:
    """The servers that users meet."""
    return {address for address, state in states.items() if state is ServerState.SERVING}
