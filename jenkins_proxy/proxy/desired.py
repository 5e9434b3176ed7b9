"""Which addresses should serve: routes, instances and drains in, backends out. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Callable

from jenkins_proxy import grammar
from jenkins_proxy.model import CRITICAL, Address, Instance, Route
from jenkins_proxy.proxy.haproxy.render import Backend

Numeric = Callable[[Address], Sequence[Address]]


def live(instances: Iterable[Instance]) -> list[Instance]:
    """Those that may serve: ``warning`` still does, ``critical`` does not."""
    return [instance for instance in instances if instance.status != CRITICAL]


def outside(route: Route) -> Instance | None:
    """The instance that ``outbound_hostname`` stands for, if it is set."""
    if not route.outbound_hostname:
        return None
    address = grammar.parse_address(route.outbound_hostname, "outbound_hostname")
    return Instance(route.service, "outbound", address)


def drained(instance: Instance, marks: Mapping[Address, str]) -> bool:
    """Whether it is to get no new requests. A mark holds for one ID: another container may get the address next."""
    return marks.get(instance.address) == instance.id


def backend(
    route: Route,
    instances: Sequence[Instance],
    marks: Mapping[Address, str],
    before: frozenset[Address],
    numeric: Numeric,
    *,
    unproven: Collection[Address] = (),
) -> Backend:
    """The backend of a route.

    When every instance is critical, those that serve keep serving: an agent that died turns all its services critical
    at once while they run, and of those that do not run HAProxy's own check takes each out. A service that shall not
    serve has its route removed or its instances drained.

    :param instances: all of them, or the one that the route names itself.
    :param before: the addresses that serve now.
    :param numeric: the numeric addresses behind one; none while its name is unknown.
    :param unproven: the addresses that shall not serve while others can.
    """
    fit = live(instances)
    chosen = [instance for instance in fit or instances if not drained(instance, marks)]
    chosen = [instance for instance in chosen if instance.address not in unproven] or chosen
    addresses = {one for instance in chosen for one in numeric(instance.address)}
    return Backend(route, tuple(sorted(addresses if fit else addresses & before)))
