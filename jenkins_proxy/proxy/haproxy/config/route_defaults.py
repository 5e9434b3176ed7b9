"""What holds for every route that does not say otherwise. Pure."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from jenkins_proxy.model import Route
from jenkins_proxy.proxy.haproxy.backend import Backend


@dataclass(frozen=True)
class RouteDefaults:
    """The options of :class:`~jenkins_proxy.model.Route` that a proxy can have for all of its routes.

    :ivar https_only: for all; there is no route that says otherwise.
    :ivar users: of routes that have none and are not open to everybody.
    """

    https_only: bool = False
    users: tuple[str, ...] = ()
    domain_algo: str = ""
    compression_algo: str = ""
    compression_type: tuple[str, ...] = ()

    def route(self, route: Route) -> Route:
        """The route as it is served."""
        compression = route if route.compression_algo else self
        return dataclasses.replace(
            route,
            https_only=route.https_only or self.https_only,
            users=route.users or self.users,
            domain_algo=route.domain_algo or self.domain_algo,
            compression_algo=compression.compression_algo,
            compression_type=route.compression_type or compression.compression_type,
        )

    def reached(self, route: Route) -> Route:
        """The route as it is served, as far as that says which requests reach it."""
        if not self.domain_algo or route.domain_algo:
            return route
        return dataclasses.replace(route, domain_algo=self.domain_algo)

    def backend(self, backend: Backend) -> Backend:
        """The backend as it is served."""
        keyed = backend.keyed and dataclasses.replace(backend.keyed, route=self.route(backend.keyed.route))
        return dataclasses.replace(backend, route=self.route(backend.route), keyed=keyed)


NONE = RouteDefaults()
