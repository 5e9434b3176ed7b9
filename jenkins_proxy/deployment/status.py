"""What is deployed: the registry's services with instances, and the proxy's routes, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jenkins_proxy.clients.consul.client import Consul
from jenkins_proxy.clients.proxy import ProxyClient
from jenkins_proxy.deployment.steps import proxy_route
from jenkins_proxy.errors import ProxyError
from jenkins_proxy.model import PASSING, Instance, Route

_HEADER = ("SERVICE", "COLOR", "PASSING", "ROUTE", "VERSION")


@dataclass(frozen=True)
class Service:
    """One service.

    :ivar route: None where the proxy has none.
    :ivar version: counts up with each change of the route; None without a route.
    """

    name: str
    instances: tuple[Instance, ...]
    route: Route | None
    version: int | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "service": self.name,
            "color": self.route.color if self.route else "",
            "instances": [
                {"address": i.address.host, "port": i.address.port, "id": i.id, "node": i.node, "status": i.status}
                for i in self.instances
            ],
            "route": self.route.as_shown() if self.route else None,
            "version": self.version,
        }


def look(registry: Consul, proxy: ProxyClient, service: str = "") -> tuple[list[Service], ProxyError | None]:
    """Read registry and proxy.

    :param service: only this one; empty means all.
    :return: the services by name, and why the proxy could not be asked, if so.
    :raises RegistryError: when the registry does not answer.
    """
    problem, routes = None, {}
    try:
        routes = {answer["service"]: answer for answer in proxy.routes()}
    except ProxyError as error:
        problem = error
    behind = {Route.from_dict(answer["route"]).registry_name: name for name, answer in routes.items()}
    # The instances of a routed color are shown with the service that they serve.
    names = {service} if service else {behind.get(name, name) for name in registry.services()} | set(routes)
    return [_service(registry, name, routes.get(name)) for name in sorted(names)], problem


def _service(registry: Consul, name: str, answer: dict[str, Any] | None) -> Service:
    route = Route.from_dict(answer["route"]) if answer else None
    instances, _ = registry.instances(route.registry_name if route else name)
    return Service(name, tuple(instances), route, answer["version"] if answer else None)


def table(services: Sequence[Service]) -> list[str]:
    """The services as lines of aligned columns, with each one's instances below it."""
    rows = [_HEADER, *(_row(service) for service in services)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    found = lines[:1]
    for line, service in zip(lines[1:], services):
        found += [line, *(f"  {i.address}  {i.status}  {i.id}" for i in service.instances)]
    return found


def _row(service: Service) -> tuple[str, ...]:
    passing = sum(1 for instance in service.instances if instance.status == PASSING)
    return (
        service.name,
        (service.route.color if service.route else "") or "-",
        f"{passing}/{len(service.instances)}",
        proxy_route.describe(service.route) if service.route else "-",
        "-" if service.version is None else str(service.version),
    )
