"""Which instances may serve, and which servers they are. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from jenkins_proxy import validation
from jenkins_proxy.model import CRITICAL, Address, Instance, Route
from jenkins_proxy.proxy.haproxy.backend import Backend, ServerState, addresses
from jenkins_proxy.proxy.holds import Hold
from jenkins_proxy.proxy.models import InstanceState, ServedInstance

Resolve = Callable[[Address], Sequence[Address]]
"""The numeric addresses behind one; none while its name is unknown."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The instances of a service, as an answer of the registry has them.

    :ivar index: of the answer: of two the one with the higher index is newer. 0 where there was none.
    """

    instances: tuple[Instance, ...]
    index: int = 0


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


def fit(
    instances: Sequence[Instance], drained_ids: Mapping[Address, str], resolve: Resolve, before: Collection[Address]
) -> list[Instance]:
    """Those of the instances that may serve.

    When every instance is critical, those that serve keep serving: an agent that died turns all its services critical
    at once while they run, and of those that do not run HAProxy's own check takes each out. A service that shall not
    serve has its route removed or its instances drained.

    :param before: the servers that there are now.
    """
    alive = live(instances)
    able = [instance for instance in alive or instances if not drained(instance, drained_ids)]
    return able if alive else [instance for instance in able if set(before).intersection(resolve(instance.address))]


def numeric(instances: Iterable[Instance], resolve: Resolve) -> set[Address]:
    """The addresses of instances as HAProxy gets them."""
    return {address for instance in instances for address in resolve(instance.address)}


def ready_servers(
    instances: Sequence[Instance],
    drained_ids: Mapping[Address, str],
    resolve: Resolve,
    *,
    before: Collection[Address],
    not_ready: Collection[Address],
) -> set[Address]:
    """The servers that users meet where no deploy holds the service.

    While every instance that may serve is not ready yet, critical ones that serve keep serving, as in :func:`fit`.

    :param before: the servers that users meet now.
    :param not_ready: the addresses that shall not serve, as they have not answered yet.
    """
    chosen = [instance for instance in instances if not drained(instance, drained_ids)]
    able = live(chosen)
    ready = [instance for instance in able if instance.address not in not_ready]
    if ready or (live(instances) and not able):
        return numeric(ready, resolve)
    known = [instance for instance in chosen if instance.address not in not_ready]
    return numeric(known, resolve).intersection(before)


def new_backend(
    route: Route, instances: Sequence[Instance], drained_ids: Mapping[Address, str], resolve: Resolve
) -> Backend:
    """The backend of a route that is new, with all that may serve."""
    return Backend.serving(route, numeric(fit(instances, drained_ids, resolve, ()), resolve))


def as_served(
    instance: Instance,
    behind: Collection[Address],
    running: Backend | None,
    drained_ids: Mapping[Address, str],
    hold: Hold | None,
    *,
    seconds: float,
) -> ServedInstance:
    """An instance as HAProxy treats it.

    :param behind: its numeric addresses.
    :param running: what HAProxy runs for its service.
    :param seconds: for how long it has not answered; 0 for one that has.
    """
    draining = drained(instance, drained_ids) or not addresses(running, ServerState.DRAINING).isdisjoint(behind)
    if not addresses(running, ServerState.SERVING).isdisjoint(behind):
        return ServedInstance(instance, True, draining, InstanceState.SERVING)
    if not addresses(running, ServerState.CANDIDATE).isdisjoint(behind):
        state = InstanceState.CANDIDATE
    elif draining or hold and hold.promoted and not hold.is_candidate(instance.address):
        state = InstanceState.DRAINING
    else:
        state = InstanceState.WAITING
    return ServedInstance(instance, False, draining, state, 0.0 if instance.status == CRITICAL else seconds)
