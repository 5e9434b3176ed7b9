"""What a change of a route would make of HAProxy's configuration. Nothing is changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from jenkins_proxy.model import Instance, Route
from jenkins_proxy.proxy.haproxy.applier import Applier
from jenkins_proxy.proxy.haproxy.backend import Backend
from jenkins_proxy.proxy.haproxy.diff import difference, means
from jenkins_proxy.proxy.models import RouteState
from jenkins_proxy.proxy.reconcile.desired_state import DesiredState
from jenkins_proxy.proxy.reconcile.instances import new_backend


class Preview:
    """Compares what would run with what runs."""

    def __init__(self, desired: DesiredState, applier: Applier) -> None:
        self._desired = desired
        self._applier = applier

    async def put(self, route: Route, instances: Sequence[Instance], taken: Mapping[str, Route | None]) -> RouteState:
        """The route as it would be, with ``diff``.

        :param taken: what would be left of the routes of others.
        :raises UsageError: HAProxy refuses the route.
        """
        backend = self.backend(route, instances)
        await self._applier.check(backend)
        running = self._applier.running
        backends = {**self._desired.backends(self._desired.services, running), route.service: backend}
        for service, left in taken.items():
            other = backends.pop(service)
            backends |= {service: dataclasses.replace(other, route=left)} if left else {}
        return RouteState(
            route,
            version=self._desired.version(route.service),
            instances=self._desired.served(route.service, instances, backend),
            applied=means(running.get(route.service), backend),
            diff=difference(self._applier.text(), self._applier.text(backends)),
        )

    def remove(self, service: str) -> str:
        """How the configuration would change without a route."""
        backends = self._desired.backends(self._desired.services, self._applier.running)
        backends.pop(service, None)
        return difference(self._applier.text(), self._applier.text(backends))

    def backend(self, route: Route, instances: Sequence[Instance]) -> Backend:
        """What would serve for a route that is new."""
        drained_ids = self._desired.drained_ids(route.service)
        return new_backend(route, instances, drained_ids, self._desired.hosts.resolve)
